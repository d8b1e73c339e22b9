"""Sessions of an AgentCore runtime: each does one thing at a time, and reads each of its results once."""

from collections.abc import Callable
from uuid import UUID

from agent_tasks.deployment import Deployment
from agent_tasks.errors import TaskNotFound
from agent_tasks.moments import reached
from agent_tasks.settings import Settings
from agent_tasks.store.database import Connection
from agent_tasks.store.rows import Row
from agent_tasks.task.identity import Identity
from agent_tasks.transitions import invoke as transition
from agent_tasks.transitions.invoke import Invocation, Runtime
from agent_tasks.transitions.submit import NewTask

AGENTCORE = "agentcore"
"""The name of the door."""


def runtime_of(settings: Settings) -> Runtime:
    """Return the runtime that the settings name."""
    return Runtime(
        settings.agentcore_agent,
        Identity.parse(settings.agentcore_identity),
        settings.agentcore_idle_seconds,
        settings.agentcore_life_seconds,
    )


def invoke(
    deployment: Deployment, runtime: Runtime, session_id: str, make: Callable[[], NewTask], *, exclusive: bool
) -> Invocation:
    """Start the task that `make` makes of a request, in a session; several at once are taken one after the other.

    `exclusive`: only where the session neither works nor has a result that nobody has read. Raises what `make` raises.
    """

    def run(connection: Connection) -> tuple[Invocation, list[Row]]:
        found = transition.invoke(
            connection,
            runtime,
            session_id,
            make,
            ring_seconds=deployment.settings.ring_seconds,
            exclusive=exclusive,
        )
        reached("written")
        return found, [found.row] if found.found == "nothing" else []

    return deployment.commit_for(run)


def note_read(deployment: Deployment, task_id: UUID) -> None:
    """Note that its session has been told the result of a task that has ended."""
    with deployment.database.connection() as connection, connection.transaction():
        transition.read(connection, task_id)


def last_task(deployment: Deployment, runtime: Runtime, session_id: str) -> UUID:
    """Return the id of a session's last task: of those that have not ended, if there are some. Raises TaskNotFound."""
    with deployment.database.connection() as connection:
        row = transition.last_of(connection, runtime, session_id)
    if row is None:
        raise TaskNotFound("This session has no task yet.")
    return row["id"]
