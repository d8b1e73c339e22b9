"""A task's history: numbered events, from submission to the end."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from agent_tasks.task.status import TERMINAL


class EventType(StrEnum):
    """The events that the system writes; `ctx.emit` adds the agent's own types."""

    SUBMITTED = "submitted"
    RESUMED = "resumed"
    DISPATCHED = "dispatched"
    CLAIMED = "claimed"
    COMMITTED = "committed"
    CHARGED = "charged"
    BUDGET_LOW = "budget_low"
    PARTIAL = "partial"
    WAITING = "waiting"
    SIGNALLED = "signalled"
    SIGNAL_REFUSED = "signal_refused"
    SPAWNED = "spawned"
    JOINED = "joined"
    UNDOING = "undoing"
    UNDONE = "undone"
    NOT_UNDONE = "not_undone"
    RETRIED = "retried"
    RELEASED = "released"
    MOVED = "moved"
    PRIORITISED = "prioritised"
    EXPIRED = "expired"
    FINISHED = "finished"


TOLD_TYPES = (
    "alert.firing",
    "alert.resolved",
    "task.submitted",
    "task.waiting",
    *sorted(f"task.{status}" for status in TERMINAL),
    "webhook.disabled",
    "webhook.ping",
)
"""The types of what webhooks are told of; an agent adds its own with `ctx.emit`."""


class Event(BaseModel):
    """One entry of a task's history; `seq` counts from 1 without gaps."""

    model_config = ConfigDict(frozen=True)

    task_id: UUID
    seq: int
    type: str
    """An `EventType`, or the name given to `ctx.emit`."""
    data: Any = None
    """The details, which differ by type."""
    at: datetime
    """The time it was written, by the database's clock."""
