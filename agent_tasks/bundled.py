"""The agents that come with the system. None of them is loaded where AGENT_TASKS_BUNDLED does not name it."""

from agent_tasks.errors import InvalidInput

MODULES = {
    "orchestrator": "workers.agents.research.orchestrator",
    "research": "workers.agents.research.agent",
}


def bundled_module(name: str) -> str:
    """The module that declares a bundled agent. Raises InvalidInput that lists those there are."""
    try:
        return MODULES[name]
    except KeyError:
        raise InvalidInput(
            f"No bundled agent is named {name!r}; there are {', '.join(sorted(MODULES))}", field="AGENT_TASKS_BUNDLED"
        ) from None
