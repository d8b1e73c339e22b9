"""Finding tasks that stand still because no living worker would run their step, or because they are paused."""

from collections.abc import Sequence
from typing import TypeVar

from agent_tasks.deployment import Deployment
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import pauses, read
from agent_tasks.task.identity import Identity
from agent_tasks.task.paused import Paused
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus
from agent_tasks.task.unserved import Unserved

S = TypeVar("S", bound=TaskSnapshot)
_NEEDS_A_WORKER = (TaskStatus.PENDING, TaskStatus.WAITING)


OPERATORS = "the operators"
"""Who has paused, where that was a trusted program, as other callers see it."""


def with_obstacles(
    deployment: Deployment, connection: Connection, tasks: Sequence[S], viewer: Identity | None
) -> list[S]:
    """Return the snapshots; each that no living worker would run, or that is paused, says why, for this `viewer`."""
    return with_pauses(connection, with_unserved(deployment, connection, tasks), viewer)


def with_pauses(connection: Connection, tasks: Sequence[S], viewer: Identity | None) -> list[S]:
    """Return the snapshots; each for which a pause holds has it, as this `viewer` may see it."""
    living = [task.id for task in tasks if not task.status.is_terminal]
    if not living or not pauses.any_hold(connection):
        return list(tasks)
    held = {row["paused_id"]: _paused(row, viewer) for row in pauses.of_tasks(connection, living)}
    return [task.model_copy(update={"paused": held[task.id]}) if task.id in held else task for task in tasks]


def _paused(row: pauses.PausedRow, viewer: Identity | None) -> Paused:
    by = shown_by(row["by"], viewer, by_operators=row["by_operators"])
    return Paused(kind=row["kind"], name=row["name"], since=row["began_at"], by=by, reason=row["reason"])


def shown_by(by: str, viewer: Identity | None, *, by_operators: bool) -> str:
    """Return who has paused something, as this `viewer` may see it; None: a trusted program."""
    return OPERATORS if viewer is not None and by_operators else by


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
