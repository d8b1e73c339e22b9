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
from agent_tasks.task.paused import Paused
from agent_tasks.task.row import Held, Limits, Reserved, Spent, TaskRow
from agent_tasks.task.status import TaskStatus
from agent_tasks.task.unserved import Unserved

log = logging.getLogger(__name__)
_DERIVED = ("budget", "suspect", "unserved", "paused")
"""The fields of a snapshot that are not columns."""


class Progress(BaseModel):
    done: float
    """The amount done, as given to `ctx.progress`, in the agent's own unit."""
    total: float | None = None
    """The amount there is to do, in the same unit; None where the agent did not say."""
    message: str | None = None
    """A line for people, in the agent's own words."""


class WaitingFor(BaseModel):
    """The reason a task waits: `kind` is signal, timer, children or retry."""

    kind: str
    name: str | None = None
    """A label to show: the signals, the number of children, or the step to be tried again."""
    names: list[str] | None = None
    """The names of the signals awaited; `mode` says whether any or all of them."""
    mode: str | None = None
    wait_id: str | None = None
    """The id of this wait and no other, for `signal(..., wait_id=)`; None where `names` have different ones."""
    wait_ids: dict[str, str] | None = None
    """For each of `names` the id of the wait that takes it; only for signals."""
    since: datetime
    """The time the wait began."""
    until: datetime | None = None
    """The time a timer or a retry is due, or the wait times out; None where it has no end."""
    waits: list["WaitingFor"] | None = None
    """The first twenty waits of a straight-line step, which the fields above sum up; None for a wait between steps."""


class BudgetState(BaseModel):
    limit: Budget
    """The task's own limits."""
    spent: Spend
    """The amounts spent by the task, and by those of its children that have ended."""
    remaining: Remaining
    """The limits, less the amounts spent and reserved."""
    reserved: Spend = Spend()
    """Reserved by living children and by calls under way; what they leave unspent returns."""


class TaskSnapshot(BaseModel):
    """A task at one `version`; a later snapshot never has a smaller one."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: UUID
    """The task's id, a UUIDv7."""
    agent: str
    status: TaskStatus
    step: str
    """The step that runs or is next, or the last one of an ended task."""
    step_number: int
    """The number of committed steps."""
    attempt: int
    """The number of times the step was begun; 0 before its first claim."""
    progress: Progress | None = None
    """The latest report by `ctx.progress`."""
    budget: BudgetState
    waiting_for: WaitingFor | None = None
    result: Any = None
    """The result of a completed task, or the partial one of a task that ended early."""
    partial: Any = None
    """The value last kept by `ctx.partial`."""
    remaining: list[Any] | None = None
    """What was left to do when `partial` was kept, if the agent said so."""
    error: ErrorInfo | None = None
    """The reason the task ended without completing."""
    version: int
    """A number that grows with every change of the task."""
    parent_id: UUID | None = None
    """The task that spawned this one; None at the top of a tree."""
    root_id: UUID
    """The task at the top of the tree; its own id where that is this one."""
    resumed_from: UUID | None = None
    """The ended task that this one goes on from."""
    identity: Identity | None = None
    """The person or service for whom the task acts; None where the submit named nobody."""
    session_id: str | None = None
    """The session named at submit; children inherit it."""
    metadata: dict[str, Any] | None = None
    """The metadata given at submit."""
    traceparent: str | None = None
    """The place of the task in its trace, as W3C Trace Context writes it."""
    queue: str
    """The queue from which workers take its steps."""
    worker: str | None = None
    """The worker that runs the step, or ran the last one."""
    created_at: datetime
    started_at: datetime | None = None
    """The time a worker first claimed the task."""
    claimed_at: datetime | None = None
    """The time the step was last begun."""
    finished_at: datetime | None = None
    """The time the task ended."""
    acknowledged_at: datetime | None = None
    """The time its result was acknowledged."""
    suspect: bool = False
    """The step was running when a process died, and is run apart from others until it commits."""
    unserved: Unserved | None = None
    """Why no living worker would run the step of this pending or waiting task; None where one would."""
    paused: Paused | None = None
    """The pause that holds for this task; None where none does."""

    @classmethod
    def from_row(cls, row: TaskRow) -> Self:
        limit, spent, reserved = budget_of(row), spend_of(row), reserved_of(row) + held_of(row)
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


def held_of(row: Held) -> Spend:
    return Spend(tokens=row["held_tokens"], usd=row["held_usd"])
