"""The states of a task, and what moves it on from each."""

from enum import StrEnum


class TaskStatus(StrEnum):
    """The state of a task. The same list is a CHECK in the database."""

    PENDING = "pending"
    """Accepted, with no step running; a worker's claim moves it on."""
    RUNNING = "running"
    """A worker holds the lease of its step; the worker moves it on, or the sweep if it dies."""
    WAITING = "waiting"
    """Parked for a signal, a timer, children or a retry; whichever comes moves it on."""
    COMPLETED = "completed"
    """Ended with a result."""
    FAILED = "failed"
    """Ended with a typed error."""
    CANCELLED = "cancelled"
    """Ended by a person, a parent or a policy."""
    TIMEOUT = "timeout"
    """Ended because the budget of seconds ran out, with no partial result recorded."""
    PARTIAL = "partial"
    """Ended early, with a usable partial result."""

    @property
    def is_terminal(self) -> bool:
        """Whether the task has ended."""
        return self in TERMINAL

    @property
    def is_resumable(self) -> bool:
        """Whether `TaskHandle.resume` takes a task in this state without naming a step."""
        return self in RESUMABLE


TERMINAL = frozenset(
    {TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.TIMEOUT, TaskStatus.PARTIAL}
)
RESUMABLE = frozenset({TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.TIMEOUT, TaskStatus.PARTIAL})
ACTIVE = frozenset(TaskStatus) - TERMINAL
