"""Bulk operations: one operation on all tasks of a filter, as it is looked at and stopped."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from agent_tasks.deployment import Deployment
from agent_tasks.errors import TaskNotFound
from agent_tasks.store.access import viewer_of
from agent_tasks.store.database import Connection
from agent_tasks.task.arguments import check_whole, shown
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.transitions import audit
from agent_tasks.transitions import bulk as bulk_rows

BulkOperation = Literal["cancel", "resume", "signal", "acknowledge", "purge", "prioritise", "move"]
"""What can be done to many tasks at once."""


class BulkProblem(BaseModel):
    """Why a task could not be changed."""

    model_config = ConfigDict(frozen=True)

    task_id: UUID | None = None
    """None: it is of the whole: why it has failed, or that nobody takes from the queue of a move."""
    type: str
    message: str


class Bulk(BaseModel):
    """An operation on many tasks, and how far it has come."""

    model_config = ConfigDict(frozen=True)

    id: UUID | None
    """By it the operation is looked at, and stopped; None of a dry run."""
    operation: BulkOperation
    filter: dict[str, Any]
    """What was asked of the tasks; spans of time have become times."""
    status: Literal["dry_run", "running", "done", "stopped", "failed"]
    limit: int | None
    matched: int
    """Tasks of the filter that were looked at."""
    done: int
    """Those that were changed, or would be: not counting what is below them."""
    passed_over: int
    """Those that are in a state in which it does nothing: a cancel of what has ended."""
    failed: int
    """Those that could not be changed."""
    problems: list[BulkProblem]
    """Why, of the first 20."""
    tenant: str
    created_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def from_row(cls, row: bulk_rows.BulkRow) -> "Bulk":
        return cls(**{name: row[_KEPT_AS.get(name, name)] for name in cls.model_fields})


_KEPT_AS = {"limit": "most"}


def find_bulk(deployment: Deployment, id: UUID | str, identity: Identity | None) -> Bulk:
    """Do what `AgentTasks.get_bulk` does. Raises TaskNotFound."""
    check_identity(identity)
    with deployment.database.connection() as connection:
        row = bulk_rows.find(connection, given := _as_id(id), viewer_of(identity))
    if row is None:
        raise bulk_not_found(given)
    return Bulk.from_row(row)


def latest_bulks(deployment: Deployment, limit: int, identity: Identity | None) -> list[Bulk]:
    """Do what `AgentTasks.bulks` does. Raises InvalidInput."""
    check_identity(identity)
    check_whole(limit, "limit", 1, 1_000)
    with deployment.database.connection() as connection:
        return [Bulk.from_row(row) for row in bulk_rows.latest(connection, viewer_of(identity), limit)]


def stop_bulk(deployment: Deployment, id: UUID | str, identity: Identity | None) -> Bulk:
    """Do what `AgentTasks.stop_bulk` does. Raises TaskNotFound."""
    check_identity(identity)
    given = _as_id(id)

    def stop(connection: Connection) -> None:
        if bulk_rows.end(connection, given, "stopped", identity=viewer_of(identity)) is not None:
            audit.write(connection, "stop_bulk", identity, target=str(given))

    deployment.database.run(stop)
    return find_bulk(deployment, given, identity)


def _as_id(id: UUID | str) -> UUID:
    try:
        return id if isinstance(id, UUID) else UUID(id)
    except (ValueError, AttributeError, TypeError):
        raise TaskNotFound(f"{shown(id)} is no id of a bulk operation.", field="id") from None


def bulk_not_found(id: UUID) -> TaskNotFound:
    return TaskNotFound(f"No bulk operation {id}: it never was, was deleted with its audit, or belongs to another.")
