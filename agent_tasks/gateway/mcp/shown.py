"""A task as the protocol shows it: five statuses, true times, and what is asked of the host's user."""

from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from mcp.shared.exceptions import MCPError

from agent_tasks.client.client import AgentTasks
from agent_tasks.errors import TaskNotFound
from agent_tasks.gateway.answers import retry_after
from agent_tasks.gateway.mcp.questions import Question, questions
from agent_tasks.gateway.mcp.results import json_rpc_error, tool_result
from agent_tasks.settings import Settings
from agent_tasks.store.queries.lifetime import LifetimeRow, lifetime
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus
from agent_tasks.transitions.purge import ACKNOWLEDGED_PART


class ShownTask:
    """One task, as it was seen."""

    def __init__(self, client: AgentTasks, seen: TaskSnapshot) -> None:
        self._client = client
        self._seen = seen

    @property
    def detailed(self) -> dict[str, Any]:
        """The task with what belongs to its status, as `tasks/get` answers.

        Raises TaskNotFound where it has just been deleted.
        """
        if self.status == "completed":
            result = {name: part for name, part in tool_result(self._seen).items() if name != "resultType"}
            return {**self.summary, "result": result}
        if self._error is not None:
            return {**self.summary, "error": self._error.error.model_dump(mode="json", exclude_none=True)}
        if self._questions:
            return {**self.summary, "inputRequests": {each.key: each.request for each in self._questions}}
        return self.summary

    @cached_property
    def status(self) -> str:
        """`working`, `input_required`, `completed`, `failed` or `cancelled`."""
        if self._seen.status is TaskStatus.CANCELLED:
            return "cancelled"
        if self._seen.status.is_terminal:
            return "completed" if self._error is None else "failed"
        return "input_required" if self._questions else "working"

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The task without what belongs to its status, as a call is answered. Raises TaskNotFound, too."""
        seen = self._seen
        with self._client.database.connection() as connection:
            known = lifetime(connection, seen.id)
        if known is None:
            raise TaskNotFound(f"No task {seen.id}: it was purged after its retention.")
        again, message = retry_after(seen).get("Retry-After"), _message(seen)
        return {
            "taskId": str(seen.id),
            "status": self.status,
            **({"statusMessage": message} if message else {}),
            "createdAt": _time(seen.created_at),
            "lastUpdatedAt": _time(max(known["changed_at"], seen.finished_at or seen.created_at)),
            "ttlMs": ttl_ms(self._client.settings, seen.created_at, known),
            **({"pollIntervalMs": int(again) * 1000} if again else {}),
        }

    @cached_property
    def _questions(self) -> list[Question]:
        return questions(self._client, self._seen)

    @cached_property
    def _error(self) -> MCPError | None:
        return None if self._seen.status is TaskStatus.CANCELLED else json_rpc_error(self._seen)


def ttl_ms(settings: Settings, created_at: datetime, known: LifetimeRow) -> int | None:
    """How long a task is kept, in milliseconds from its beginning; None: it lives, or is kept for ever."""
    if known["finished_at"] is None:
        return None
    seconds = known["retention_seconds"] or settings.retention_seconds
    if known["acknowledged_at"] is not None:
        seconds *= ACKNOWLEDGED_PART
    elif settings.keep_unacknowledged:
        return None
    return int(((known["finished_at"] - created_at).total_seconds() + seconds) * 1000)


def _message(seen: TaskSnapshot) -> str | None:
    """What there is to say of a task in a line."""
    if seen.error is not None:
        return seen.error.message
    if seen.paused is not None:
        return f"paused: {seen.paused.reason}" if seen.paused.reason else "paused"
    if seen.unserved is not None:
        return "no worker serves it now"
    if seen.waiting_for is not None:
        return f"waits for {' '.join(filter(None, [seen.waiting_for.kind, seen.waiting_for.name]))}"
    return seen.progress.message if seen.progress is not None else None


def _time(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
