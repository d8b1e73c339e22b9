"""What a waiting step is handed when it goes on: signals, and the outcomes of children."""

from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from agent_tasks.budgets import Spend
from agent_tasks.errors import ErrorInfo
from agent_tasks.identity import Identity
from agent_tasks.snapshots import spend_of
from agent_tasks.states import TaskStatus

P = TypeVar("P")


class Signal(BaseModel, Generic[P]):
    """A signal as a step gets it; `Signal[Approval]` has its payload validated before it is accepted."""

    model_config = ConfigDict(frozen=True)

    name: str
    payload: P | None = None
    signal_id: str | None = None
    sender: Identity | None = None
    """Who sent it; None: a trusted program that named nobody."""
    sent_at: datetime


class ChildOutcome(BaseModel):
    """How a child ended; `result` is what it recorded where it is partial."""

    model_config = ConfigDict(frozen=True)

    task_id: UUID
    index: int
    """Its place in the FanOut, from 0."""
    agent: str
    status: TaskStatus
    result: Any = None
    error: ErrorInfo | None = None
    spent: Spend


def child_outcome(row: dict[str, Any]) -> ChildOutcome:
    """From a row with the columns of a snapshot. A child that is still undoing has its end decided."""
    ending = row["ending"] if row["finished_at"] is None else None
    error = ending["error"] if ending else row["error"]
    return ChildOutcome(
        task_id=row["id"],
        index=row["child_index"],
        agent=row["agent"],
        status=ending["status"] if ending else row["status"],
        result=ending["result"] if ending else row["result"],
        error=ErrorInfo.model_validate(error) if error else None,
        spent=spend_of(row),
    )
