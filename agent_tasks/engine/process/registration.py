"""The record of a worker's agents in Postgres, for submitters that have not loaded their code."""

from collections.abc import Iterable
from pathlib import Path

import agent_tasks
from agent_tasks.authoring.agent import Agent, loaded_agents
from agent_tasks.authoring.definition import definition
from agent_tasks.errors import InvalidInput
from agent_tasks.store.database import Connection
from agent_tasks.store.queries.catalog import register_agents
from agent_tasks.store.queries.readiness import Obstacle, obstacle

_MIGRATIONS = Path(agent_tasks.__file__).parent / "store/migrations/versions"
NEWEST = max(path.stem[:4] for path in _MIGRATIONS.glob("[0-9]*.py"))
"""The migration that this release needs. (Alembic would say so, too, but takes long to import.)"""


def check(agents: Iterable[Agent]) -> None:
    """Build what each step is called and described with. Raises InvalidInput that names the first one that is wrong."""
    for agent in agents:
        for step in agent.runnable.values():
            try:
                _ = step.arguments, step.signal_type, step.payload_type
            except Exception as error:  # of many kinds: unknown names, types without a schema, faults of the user's own
                raise InvalidInput(_wrong(agent, step.task_name, error), field=step.task_name) from error
        try:
            definition(agent)
        except Exception as error:
            raise InvalidInput(_wrong(agent, f"agent {agent.name}", error), field=agent.name) from error


def _wrong(agent: Agent, what: str, error: Exception) -> str:
    advice = " Import it outside of TYPE_CHECKING." if isinstance(error, NameError) else ""
    return f"{what} in {agent.module} cannot be served: {type(error).__name__}: {error}.{advice}"


def register(connection: Connection) -> Obstacle | None:
    """Record all agents that are loaded, unless something keeps this release from working here: then that."""
    found = obstacle(connection, NEWEST)
    if found is None:
        register_agents(connection, {name: definition(agent) for name, agent in loaded_agents().items()})
    return found
