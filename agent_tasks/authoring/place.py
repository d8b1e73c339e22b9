"""Place: the try of a step whose code is running, for what is called without its context."""

from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from agent_tasks.task.identity import Identity


@dataclass(frozen=True, slots=True)
class Place:
    """One try of a step of a task, and whom and what the task is for."""

    task_id: UUID
    step_number: int
    run: int
    identity: Identity | None
    session_id: str | None
    agent: str = ""
    step: str = ""
    traceparent: str | None = None
    """Of the step's span where it is traced, else of the task."""
    is_sensitive: bool = False


place: ContextVar[Place | None] = ContextVar("agent_tasks_place", default=None)
"""Where this code runs: set in a step, and so in all that it starts; None outside of steps."""
