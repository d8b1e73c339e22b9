"""How the planner speaks of a task: one form of words for each state."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from agent_tasks import ErrorInfo, SuggestedAction, TaskSnapshot, TaskStatus

RETENTION = timedelta(hours=1)
"""How long results are kept once their task has ended."""


def submitted(task_id: UUID) -> str:
    return f"Task ID: {task_id}. Use get_task_result() to check status"


def described(task: TaskSnapshot) -> str:
    """Say in what state a task is, with its result or its error."""
    match task.status:
        case TaskStatus.COMPLETED:
            return f"Task Completed! Result: {_text(task.result)}"
        case TaskStatus.PENDING:
            return f"Task Pending: {task.id} is queued. Ask again in a moment."
        case TaskStatus.RUNNING | TaskStatus.WAITING:
            return f"Task Processing...{_how_far(task)}"
        case TaskStatus.PARTIAL:
            return f"Task Ended Early: {_why(task.error)}\nWhat there is: {_text(task.result)}"
        case TaskStatus.CANCELLED:
            return f"Task Cancelled: {_why(task.error)} Submit it again if it is still wanted."
        case _:
            return f"Task Failed: {_why(task.error)} {_guidance(task)}"


def expired(task_id: UUID) -> str:
    return (
        f"Task {task_id} has expired: results are kept for {_hours(RETENTION)} after a task's end. Submit it again for "
        "a new one."
    )


def unknown(task_id: UUID) -> str:
    return (
        f"There is no task {task_id}. Check the ID: it is the one that was answered when the task was submitted. "
        "Results are kept for an hour."
    )


def no_last_task() -> str:
    return (
        "No task has been submitted in this session, or its result has expired. Name one: “Check status of task ID …”"
    )


def made_at(task_id: UUID) -> datetime | None:
    """Return when an id was made, if it is one of the ids that tasks have (UUIDv7), and no date is too late for it."""
    if task_id.version != 7:
        return None
    try:
        return datetime.fromtimestamp((task_id.int >> 80) / 1000, UTC)
    except (ValueError, OverflowError):  # a number that somebody has made up
        return None


def _text(result: Any) -> str:
    """What a result says: its text, if it has one."""
    if isinstance(result, Mapping):
        return str(cast("Mapping[str, Any]", result).get("text") or result).rstrip()
    return str(result)


def _how_far(task: TaskSnapshot) -> str:
    if task.waiting_for is not None and task.waiting_for.kind == "retry":
        until = task.waiting_for.until
        again = f" at {until:%H:%M:%S} UTC" if until else " soon"
        return f" The model did not answer; it is asked again{again}."
    if task.progress is not None and task.progress.message:
        return f" {task.progress.message}."
    return ""


def _why(error: ErrorInfo | None) -> str:
    if error is None:
        return "no reason was given."
    return error.message if error.message.endswith((".", "!", "?")) else f"{error.message}."


def _guidance(task: TaskSnapshot) -> str:
    error = task.error
    if error is None:
        return "Submit it again."
    if error.retryable:
        after = f" in {error.retry_after:.0f} seconds or later" if error.retry_after else " in a minute or later"
        return f"This may pass: submit it again{after}."
    return {
        SuggestedAction.FIX_INPUT: "To retry, change what that says, and submit it again.",
        SuggestedAction.RAISE_BUDGET: "To retry, resume it with a larger budget, or submit less text.",
        SuggestedAction.RESUME: f"To retry, resume it: agent-tasks resume {task.id}.",
        SuggestedAction.ESCALATE: "A retry alone will not help: ask whoever runs this system.",
    }.get(error.suggested_action, "Submit it again; if it fails again, ask whoever runs this system.")


def _hours(time: timedelta) -> str:
    hours = time / timedelta(hours=1)
    return "an hour" if hours == 1 else f"{hours:g} hours"
