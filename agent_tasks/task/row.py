"""The columns that statements return for a task, by who needs them.

The lists of columns are in `store.rows`; a test compares them with these.
"""

from datetime import datetime
from typing import Any, NotRequired, TypedDict
from uuid import UUID


class Limits(TypedDict):
    """The columns of the budget; None is no limit."""

    budget_seconds: float | None
    budget_tokens: int | None
    budget_usd: float | None
    budget_steps: int | None
    budget_calls: int | None


class Spent(TypedDict):
    """The columns of what the task and its ended children have spent."""

    spent_seconds: float
    spent_tokens: int
    spent_usd: float
    spent_steps: int
    spent_calls: int


class Reserved(TypedDict):
    """The columns of what living children have reserved."""

    reserved_tokens: int
    reserved_usd: float
    reserved_steps: int
    reserved_calls: int


class Held(TypedDict):
    """The columns of what calls under way have reserved."""

    held_tokens: int
    held_usd: float


class SteppedRow(Spent, Reserved, Held):
    """The columns of `store.rows.STEPPED`, which change while a worker holds a task."""

    status: str
    step: str
    step_number: int
    attempt: int
    version: int
    finished_at: datetime | None
    queue: str
    priority: int


class BellRow(SteppedRow, Limits):
    """The columns that a bell and the log need; `SNAPSHOT` and `CLAIMED` have them all."""

    id: UUID
    run: int
    agent: str
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
    """The columns of `store.rows.SNAPSHOT`: a task as observers see it."""

    progress: dict[str, Any] | None
    waiting_for: dict[str, Any] | None
    result: Any
    partial: Any
    remaining: list[Any] | None
    error: dict[str, Any] | None
    metadata: dict[str, Any] | None
    parent_span: str | None
    worker: str | None
    created_at: datetime
    started_at: datetime | None
    claimed_at: datetime | None
    acknowledged_at: datetime | None
    event_seq: int
    children_left: int
    parent_step: int | None
    parent_call: int | None
    child_index: int | None
    ending: dict[str, Any] | None
    suspect: int
    refused: dict[str, Any] | None
    was: NotRequired[str]
    """Not a column: the status from which a task was ended from outside."""
