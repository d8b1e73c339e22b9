"""The typed errors of the system.

AgentTaskError
├── InvalidInput              invalid_input
│   ├── UnknownAgent          invalid_input
│   ├── IdempotencyConflict   invalid_input
│   ├── TaskNotFound          invalid_input
│   └── InvalidState          invalid_input: the task is not in a state that allows this
├── PayloadTooLarge           payload_too_large
├── BudgetExhausted           budget_exhausted
├── UpstreamUnavailable       upstream_unavailable
├── PartialCompletion         partial_completion
├── ContextLost               context_lost
├── PermissionDenied          permission_denied
├── Poison                    poison
├── StepFailed                step_failed
└── TaskCancelled             cancelled
LeaseLost                     not for users: the worker drops its outcome
"""

from enum import StrEnum
from typing import Any, ClassVar

from pydantic import BaseModel


class ErrorType(StrEnum):
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
    retryable: bool = False
    retry_after: float | None = None
    """Seconds, or null where the caller may choose."""
    details: dict[str, Any] = {}
    checkpoint: int | None = None
    """The step number from which `resume` would go on."""
    suggested_action: SuggestedAction = SuggestedAction.NONE


class AgentTaskError(Exception):
    """The root of the typed errors; `info` is its machine-readable form."""

    type: ClassVar[ErrorType] = ErrorType.STEP_FAILED
    retryable: ClassVar[bool] = False
    suggested_action: ClassVar[SuggestedAction] = SuggestedAction.NONE

    def __init__(self, message: str, *, retry_after: float | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.details = details

    @property
    def info(self) -> ErrorInfo:
        return ErrorInfo(
            type=self.type,
            message=self.message,
            retryable=self.retryable,
            retry_after=self.retry_after,
            details=self.details,
            suggested_action=self.suggested_action,
        )


class InvalidInput(AgentTaskError, ValueError):
    type = ErrorType.INVALID_INPUT
    suggested_action = SuggestedAction.FIX_INPUT


class UnknownAgent(InvalidInput):
    """No agent of this name is loaded here, and no worker has registered one."""


class IdempotencyConflict(InvalidInput):
    """The idempotency key was used within its 24 hours for another agent or input."""


class TaskNotFound(InvalidInput, LookupError):
    """No such task, or none that this identity may see."""


class InvalidState(InvalidInput):
    """The task's state does not allow the operation."""


class PayloadTooLarge(AgentTaskError, ValueError):
    type = ErrorType.PAYLOAD_TOO_LARGE
    suggested_action = SuggestedAction.FIX_INPUT


class BudgetExhausted(AgentTaskError):
    """`details["resource"]` names what ran out: seconds, tokens, usd, steps, calls or children."""

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


class UpstreamUnavailable(AgentTaskError):
    """A model or tool outside did not answer; `retry_after` in seconds is honoured by `Retry`."""

    type = ErrorType.UPSTREAM_UNAVAILABLE
    retryable = True
    suggested_action = SuggestedAction.RETRY


class PartialCompletion(AgentTaskError):
    type = ErrorType.PARTIAL_COMPLETION
    suggested_action = SuggestedAction.RESUME


class ContextLost(AgentTaskError):
    """State cannot be trusted or read: code gone, no checkpoint, an at-most-once call of unknown outcome."""

    type = ErrorType.CONTEXT_LOST
    suggested_action = SuggestedAction.ESCALATE


class PermissionDenied(AgentTaskError):
    type = ErrorType.PERMISSION_DENIED
    suggested_action = SuggestedAction.ESCALATE


class Poison(AgentTaskError):
    """The step killed its worker again and again."""

    type = ErrorType.POISON
    suggested_action = SuggestedAction.ESCALATE


class StepFailed(AgentTaskError):
    """A step raised; the traceback stays in the database (`tasks.traceback`)."""

    type = ErrorType.STEP_FAILED
    suggested_action = SuggestedAction.RESUME


class TaskCancelled(AgentTaskError):
    type = ErrorType.CANCELLED
    suggested_action = SuggestedAction.RESUME


class LeaseLost(Exception):
    """Another run owns the step, or the task has ended: what this worker has is dropped."""


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
    """The exception that `task.result()` raises for a recorded error."""
    error = _CLASSES[info.type](info.message, retry_after=info.retry_after, **info.details)
    error.recorded = info  # type: ignore[attr-defined]
    return error
