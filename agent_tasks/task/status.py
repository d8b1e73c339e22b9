"""The states of a task, and what moves it on from each."""

from enum import StrEnum


class TaskStatus(StrEnum):
    """The state of a task. The same list is a CHECK in the database."""

    PENDING = "pending"  # accepted, no step is running; a worker's claim moves it on
    RUNNING = "running"  # a worker holds the lease of its step; the worker moves it on, or the sweep if it dies
    WAITING = "waiting"  # for a signal, a timer, children or a retry; whichever comes moves it on
    COMPLETED = "completed"  # the result is there
    FAILED = "failed"  # a typed error is there
    CANCELLED = "cancelled"  # by a person, a parent or a policy
    TIMEOUT = "timeout"  # the time budget ran out with nothing partial recorded
    PARTIAL = "partial"  # ended early, with usable partial results

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL

    @property
    def is_resumable(self) -> bool:
        return self in RESUMABLE


TERMINAL = frozenset(
    {TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.TIMEOUT, TaskStatus.PARTIAL}
)
RESUMABLE = frozenset({TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.TIMEOUT, TaskStatus.PARTIAL})
ACTIVE = frozenset(TaskStatus) - TERMINAL
