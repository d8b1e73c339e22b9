"""The typed errors of the system.

AgentTaskError
├── InvalidInput              invalid_input
│   ├── UnknownAgent          invalid_input
│   ├── IdempotencyConflict   invalid_input
│   ├── TaskNotFound          invalid_input
│   ├── AmbiguousCall         invalid_input: a call that a repeat could not tell from another one
│   ├── InvalidState          invalid_input: the task is not in a state that allows this
│   ├── HookNotFound          invalid_input: the URL is no hook of this deployment
│   ├── HookClosed            invalid_input: the hook takes no more answers
│   └── KeyInUse              invalid_input: a request with this idempotency key is being accepted now
├── PayloadTooLarge           payload_too_large
├── BudgetExhausted           budget_exhausted
├── UpstreamUnavailable       upstream_unavailable
├── PartialCompletion         partial_completion
├── ContextLost               context_lost
├── PermissionDenied          permission_denied
├── Poison                    poison
├── StepFailed                step_failed
└── TaskCancelled             cancelled
LeaseLost                     not for users: the worker drops its work
"""

import logging
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, ClassVar, Self

from pydantic import BaseModel

from agent_tasks.storable import storable, storable_value

log = logging.getLogger(__name__)
RetryAfter = float | timedelta | datetime | str
"""How long to wait: seconds, a duration, a time, or the text of a Retry-After header (seconds or an HTTP date)."""


class ErrorType(StrEnum):
    """The kind of error, in one word: `ErrorInfo.type`."""

    BUDGET_EXHAUSTED = "budget_exhausted"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    PARTIAL_COMPLETION = "partial_completion"
    CONTEXT_LOST = "context_lost"
    INVALID_INPUT = "invalid_input"
    PERMISSION_DENIED = "permission_denied"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    POISON = "poison"
    STEP_FAILED = "step_failed"
    CANCELLED = "cancelled"


class SuggestedAction(StrEnum):
    """The remedy open to a caller: `ErrorInfo.suggested_action`."""

    RETRY = "retry"
    RESUME = "resume"
    RAISE_BUDGET = "raise_budget"
    FIX_INPUT = "fix_input"
    ESCALATE = "escalate"
    NONE = "none"


class ErrorInfo(BaseModel):
    """An error as it leaves the system: the same fields on every surface."""

    type: ErrorType
    message: str
    """A sentence for people: what happened, and what to do."""
    retryable: bool = False
    """Whether the same request may succeed later."""
    retry_after: float | None = None
    """Seconds, or null where the caller may choose."""
    details: dict[str, Any] = {}
    """The cause in detail, by names that depend on the type."""
    checkpoint: int | None = None
    """The number of the step from which `resume` would continue."""
    suggested_action: SuggestedAction = SuggestedAction.NONE


class AgentTaskError(Exception):
    """The root of the typed errors; `info` is its machine-readable form.

    `retry_after` is seconds, a timedelta, an aware datetime, or what a Retry-After header says.
    """

    type: ClassVar[ErrorType] = ErrorType.STEP_FAILED
    retryable: ClassVar[bool] = False
    suggested_action: ClassVar[SuggestedAction] = SuggestedAction.NONE

    def __init__(self, message: object, *, retry_after: RetryAfter | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = text_of(message)
        self.retry_after = _seconds(retry_after)
        self.details = details
        self._recorded: ErrorInfo | None = None

    @property
    def info(self) -> ErrorInfo:
        """The machine-readable form; always storable, since details with no JSON form are there as text."""
        if self._recorded is not None:
            return self._recorded
        return ErrorInfo(
            type=self.type,
            message=storable(self.message),
            retryable=self.retryable,
            retry_after=self.retry_after,
            details={storable(name): storable_value(value) for name, value in self.details.items()},
            suggested_action=self.suggested_action,
        )

    @classmethod
    def recorded(cls, info: ErrorInfo) -> Self:
        """Return the exception for a recorded error; its `info` is the record itself."""
        error = cls(info.message, retry_after=info.retry_after)
        error.details = dict(info.details)
        error._recorded = info
        return error


class InvalidInput(AgentTaskError, ValueError):
    """An argument or input is not acceptable; `details["field"]` names it where it has a name."""

    type = ErrorType.INVALID_INPUT
    suggested_action = SuggestedAction.FIX_INPUT


class UnknownAgent(InvalidInput):
    """No agent of this name is loaded here, and no worker has registered one."""


class IdempotencyConflict(InvalidInput):
    """The idempotency key was used within its 24 hours for another agent or input."""


class TaskNotFound(InvalidInput, LookupError):
    """The task does not exist, or this identity may not see it."""


class AmbiguousCall(InvalidInput):
    """A repeated step could not tell this call from another one: give it a key."""


class InvalidState(InvalidInput):
    """The task's state does not allow the operation."""


class HookNotFound(InvalidInput, LookupError):
    """The URL is no hook of this deployment: it was cut short, altered, or made by another one."""


class HookClosed(InvalidInput):
    """The hook takes no more answers: `details["why"]` is expired, used, over, forked, ended or purged."""


class KeyInUse(InvalidInput):
    """A request with the same idempotency key is being accepted at this moment: it can be sent again."""

    suggested_action = SuggestedAction.RETRY


class PayloadTooLarge(AgentTaskError, ValueError):
    """An input, state, result or call outcome exceeds the limit; `details` has payload, size and limit in bytes."""

    type = ErrorType.PAYLOAD_TOO_LARGE
    suggested_action = SuggestedAction.FIX_INPUT


class BudgetExhausted(AgentTaskError):
    """A resource of the budget ran out; `details["resource"]` is seconds, tokens, usd, steps, calls or children."""

    type = ErrorType.BUDGET_EXHAUSTED
    suggested_action = SuggestedAction.RAISE_BUDGET

    @classmethod
    def of(cls, resource: str, limit: Any, spent: Any) -> "BudgetExhausted":
        return cls(
            f"The budget of {resource} is used up: {spent:g} of {limit:g} spent. "
            "Resume the task with a fresh budget, or submit it with a larger one.",
            resource=resource,
            limit=limit,
            spent=spent,
        )

    @classmethod
    def to_reserve(cls, resource: str, call: str, asked: Any, left: Any, limit: Any) -> "BudgetExhausted":
        left = max(left, 0)
        return cls(
            f"Call {call} reserves {asked:g} of {resource}, and of {limit:g} only {left:g} is neither spent nor "
            "reserved. Make fewer such calls at once, reserve less, or give the task a larger budget.",
            resource=resource,
            limit=limit,
            left=float(left) if resource == "usd" else int(left),
            reserve=float(asked) if resource == "usd" else int(asked),
        )


class UpstreamUnavailable(AgentTaskError):
    """An external model or tool did not answer; `retry_after`, in seconds, is the least that `Retry` waits."""

    type = ErrorType.UPSTREAM_UNAVAILABLE
    retryable = True
    suggested_action = SuggestedAction.RETRY


class PartialCompletion(AgentTaskError):
    """The task ended early; `details["result"]` is its partial result, `details["cause"]` the reason."""

    type = ErrorType.PARTIAL_COMPLETION
    suggested_action = SuggestedAction.RESUME


class ContextLost(AgentTaskError):
    """State cannot be trusted or read: code gone, no checkpoint, an at-most-once call of unknown outcome."""

    type = ErrorType.CONTEXT_LOST
    suggested_action = SuggestedAction.ESCALATE


class PermissionDenied(AgentTaskError):
    """The identity may not do this; the error says no more than that."""

    type = ErrorType.PERMISSION_DENIED
    suggested_action = SuggestedAction.ESCALATE


class Poison(AgentTaskError):
    """The step killed its worker repeatedly."""

    type = ErrorType.POISON
    suggested_action = SuggestedAction.ESCALATE


class StepFailed(AgentTaskError):
    """A step raised an exception that is not a typed error; `TaskHandle.traceback` shows where."""

    type = ErrorType.STEP_FAILED
    suggested_action = SuggestedAction.ESCALATE


class TaskCancelled(AgentTaskError):
    """The task was cancelled, by a person, a parent or a policy."""

    type = ErrorType.CANCELLED
    suggested_action = SuggestedAction.RESUME


class LeaseLost(Exception):
    """Another run owns the step, or the task has ended: this worker's work is dropped."""


_CLASSES: dict[ErrorType, type[AgentTaskError]] = {
    cls.type: cls
    for cls in (
        InvalidInput,
        PayloadTooLarge,
        BudgetExhausted,
        UpstreamUnavailable,
        PartialCompletion,
        ContextLost,
        PermissionDenied,
        Poison,
        StepFailed,
        TaskCancelled,
    )
}


def from_info(info: ErrorInfo) -> AgentTaskError:
    """Return the exception that `task.result()` raises for a recorded error."""
    return _CLASSES[info.type].recorded(info)


def text_of(message: object) -> str:
    """Return `message` as text, even where its own `__str__` fails."""
    try:
        return str(message)
    except Exception as broken:
        return f"(its message cannot be shown: {type(broken).__name__})"


def leaves(error: BaseException) -> list[BaseException]:
    """Return the exceptions in a group and in the groups within it; any other exception alone."""
    return list(_leaves(error))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    members: tuple[BaseException, ...] = error.exceptions
    for member in members:
        yield from _leaves(member)


def _seconds(value: Any) -> float | None:
    """Return `value` as seconds to wait; None, with a warning, if it is no such value."""
    if value is None:
        return None
    try:
        seconds = _as_seconds(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if 0 <= seconds < math.inf:
        return seconds
    log.warning(
        "retry_after ignored: %s is not seconds, a timedelta, a time or an HTTP date that lies ahead",
        text_of(value)[:100],
    )
    return None


def _as_seconds(value: Any) -> float:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            value = parsedate_to_datetime(value)
    if isinstance(value, datetime):
        value = max(timedelta(0), value - datetime.now(UTC))  # a naive one raises TypeError
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
