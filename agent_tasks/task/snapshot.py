"""The snapshot: a task at one version, as observers see it."""

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from agent_tasks.errors import ErrorInfo
from agent_tasks.task.budget import Budget, Remaining, Spend, remaining
from agent_tasks.task.identity import Identity
from agent_tasks.task.row import Limits, Reserved, Spent, TaskRow
from agent_tasks.task.status import TaskStatus
from agent_tasks.task.unserved import Unserved

log = logging.getLogger(__name__)
_DERIVED = ("budget", "suspect", "unserved")
"""The fields of a snapshot that are not columns."""


class Progress(BaseModel):
    done: float
    total: float | None = None
    message: str | None = None


class WaitingFor(BaseModel):
    """The reason a task waits: `kind` is signal, timer, children or retry."""

    kind: str
    name: str | None = None
    names: list[str] | None = None
    """The names of the signals awaited; `mode` says whether any or all of them."""
    mode: str | None = None
    wait_id: str | None = None
    """The id of this wait and no other, for `signal(..., wait_id=)`; only for signals."""
    since: datetime
    until: datetime | None = None


class BudgetState(BaseModel):
    limit: Budget
    spent: Spend
    remaining: Remaining
    reserved: Spend = Spend()
    """Reserved by living children; what they leave unspent returns."""


class TaskSnapshot(BaseModel):
    """A task at one `version`; a later snapshot never has a smaller one."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: UUID
    agent: str
    status: TaskStatus
    step: str
    step_number: int
    attempt: int
    progress: Progress | None = None
    budget: BudgetState
    waiting_for: WaitingFor | None = None
    result: Any = None
    partial: Any = None
    remaining: list[Any] | None = None
    """What was left to do when `partial` was kept, if the agent said so."""
    error: ErrorInfo | None = None
    version: int
    parent_id: UUID | None = None
    root_id: UUID
    resumed_from: UUID | None = None
    identity: Identity | None = None
    session_id: str | None = None
    metadata: dict[str, Any] | None = None
    traceparent: str | None = None
    queue: str
    worker: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    claimed_at: datetime | None = None
    finished_at: datetime | None = None
    acknowledged_at: datetime | None = None
    suspect: bool = False
    """The step was running when a process died, and is run apart from others until it commits."""
    unserved: Unserved | None = None
    """Why no living worker would run the step of this pending or waiting task; None where one would."""

    @classmethod
    def from_row(cls, row: TaskRow) -> Self:
        limit, spent, reserved = budget_of(row), spend_of(row), reserved_of(row)
        fields: dict[str, Any] = {name: row[name] for name in cls.model_fields if name not in _DERIVED}
        return cls(
            **fields,
            suspect=row["suspect"] > 0 and row["finished_at"] is None,
            unserved=Unserved.refused(row["refused"]) if row["refused"] and row["status"] == "pending" else None,
            budget=BudgetState(
                limit=limit, spent=spent, reserved=reserved, remaining=remaining(limit, spent + reserved)
            ),
        )

    @classmethod
    def from_rows(cls, rows: Iterable[TaskRow]) -> list[Self]:
        """Return a snapshot of each row that can be read; the others are logged and left out."""
        return [snapshot for row in rows if (snapshot := cls.read(row)) is not None]

    @classmethod
    def read(cls, row: TaskRow) -> Self | None:
        """Return the snapshot of a row, or None where it cannot be read, which is logged."""
        try:
            return cls.from_row(row)
        except ValueError as error:  # from pydantic, or from a budget
            log.error("task cannot be shown: task=%s error=%s", row["id"], error)
            return None


def budget_of(row: Limits) -> Budget:
    return Budget(
        row["budget_seconds"], row["budget_tokens"], row["budget_usd"], row["budget_steps"], row["budget_calls"]
    )


def spend_of(row: Spent) -> Spend:
    return Spend(row["spent_seconds"], row["spent_tokens"], row["spent_usd"], row["spent_steps"], row["spent_calls"])


def reserved_of(row: Reserved) -> Spend:
    return Spend(0.0, row["reserved_tokens"], row["reserved_usd"], row["reserved_steps"], row["reserved_calls"])
