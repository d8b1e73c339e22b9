"""A task's row: the columns that statements return of it, by who needs them.

The lists of columns are in `store.rows`; a test compares them with these.
"""

from datetime import datetime
from typing import Any, NotRequired, TypedDict
from uuid import UUID


class Limits(TypedDict):
    """The budget; None is no limit."""

    budget_seconds: float | None
    budget_tokens: int | None
    budget_usd: float | None
    budget_steps: int | None
    budget_calls: int | None


class Spent(TypedDict):
    """What the task has spent, and the children of it that have ended."""

    spent_seconds: float
    spent_tokens: int
    spent_usd: float
    spent_steps: int
    spent_calls: int


class Reserved(TypedDict):
    """What living children hold."""

    reserved_tokens: int
    reserved_usd: float
    reserved_steps: int
    reserved_calls: int


class SteppedRow(Spent, Reserved):
    """`store.rows.STEPPED`: what changes while a worker holds a task."""

    status: str
    step: str
    step_number: int
    attempt: int
    version: int
    finished_at: datetime | None


class BellRow(SteppedRow, Limits):
    """What a bell needs, and the log; `SNAPSHOT` and `CLAIMED` have all of it."""

    id: UUID
    run: int
    agent: str
    queue: str
    priority: int
    parent_id: UUID | None
    root_id: UUID
    depth: int
    resumed_from: UUID | None
    undo_step: int | None
    identity: dict[str, Any] | None
    session_id: str | None
    traceparent: str | None
    sensitive: bool


class TaskRow(BellRow):
    """`store.rows.SNAPSHOT`: what an observer sees of a task."""

    progress: dict[str, Any] | None
    waiting_for: dict[str, Any] | None
    result: Any
    partial: Any
    remaining: list[Any] | None
    error: dict[str, Any] | None
    metadata: dict[str, Any] | None
    worker: str | None
    created_at: datetime
    started_at: datetime | None
    claimed_at: datetime | None
    acknowledged_at: datetime | None
    event_seq: int
    children_left: int
    parent_step: int | None
    child_index: int | None
    ending: dict[str, Any] | None
    suspect: int
    refused: dict[str, Any] | None
    was: NotRequired[str]
    """No column: the status that a task had which was ended from outside."""
