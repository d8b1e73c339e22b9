"""Finding tasks that stand still because no living worker would run their step."""

from collections.abc import Sequence
from typing import TypeVar

from agent_tasks.deployment import Deployment
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import read
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus
from agent_tasks.task.unserved import Unserved

S = TypeVar("S", bound=TaskSnapshot)
_NEEDS_A_WORKER = (TaskStatus.PENDING, TaskStatus.WAITING)


def with_unserved(deployment: Deployment, connection: Connection, tasks: Sequence[S]) -> list[S]:
    """Return the snapshots; each that no living worker would run says why."""
    wanted = {(task.agent, task.step, task.queue) for task in tasks if task.status in _NEEDS_A_WORKER}
    if not wanted:
        return list(tasks)
    rows = read.serving(connection, wanted, lease_seconds=deployment.settings.lease_seconds)
    reasons = {(row["agent"], row["step"], row["queue"]): Unserved.of(row) for row in rows}
    return [
        task.model_copy(update={"unserved": reasons[task.agent, task.step, task.queue] or task.unserved})
        if task.status in _NEEDS_A_WORKER
        else task
        for task in tasks
    ]
