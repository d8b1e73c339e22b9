"""The agents that a worker process serves: those that its settings name, and what else is imported."""

import logging

from agent_tasks.authoring.agent import loaded_agents, served_agents
from agent_tasks.authoring.loading import load_agents, why_not_loaded
from agent_tasks.authoring.peers.own import load_own
from agent_tasks.engine.process.registration import check
from agent_tasks.errors import InvalidInput
from agent_tasks.settings import Settings

log = logging.getLogger(__name__)


def load(settings: Settings) -> None:
    """Load the agents. Raises InvalidInput for a module that the settings name, or a step, that cannot be served."""
    failed = load_agents(settings.agents, settings.bundled)
    for setting, names in (("agents", settings.agents), ("bundled", settings.bundled)):
        if broken := [name for name in names if name in failed]:
            why = why_not_loaded(broken[0], failed[broken[0]])
            variable = f"AGENT_TASKS_{setting.upper()}"
            raise InvalidInput(f"{variable} names {broken[0]}, which does not load: {why}", field=setting)
    for name, error in failed.items():
        log.warning("agents left out, %s does not load: %s", name, why_not_loaded(name, error))
    load_own()
    check(served_agents().values())


def queues_of_agents(settings: Settings) -> list[str]:
    """Return the settings' queue, and then those that agents have of their own."""
    own = {agent.queue for agent in loaded_agents().values() if agent.queue}
    return [settings.queue, *sorted(own - {settings.queue})]
