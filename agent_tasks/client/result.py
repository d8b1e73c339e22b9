"""The result of a task that has ended, or the typed error that it ended with."""

from typing import Any

from agent_tasks.errors import AgentTaskError, InvalidInput, PartialCompletion, from_info
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus


def result_of(snapshot: TaskSnapshot) -> Any:
    """Return the result of a terminal snapshot. Raises the typed error that the task ended with."""
    if snapshot.status is TaskStatus.COMPLETED:
        return snapshot.result
    if snapshot.error is None:
        raise InvalidInput(f"task {snapshot.id} is {snapshot.status}: it has no result yet")
    if snapshot.status is TaskStatus.PARTIAL:
        left: dict[str, Any] = {} if snapshot.remaining is None else {"remaining": snapshot.remaining}
        raise PartialCompletion(
            f"Task {snapshot.id} ended early: {snapshot.error.message}",
            result=snapshot.result,
            cause=snapshot.error.model_dump(mode="json"),
            **left,
        )
    error: AgentTaskError = from_info(snapshot.error)
    raise error
