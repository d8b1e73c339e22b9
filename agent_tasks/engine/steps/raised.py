"""What a step raised, described: for its row, for logs, and for those who watch."""

import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from agent_tasks.errors import AgentTaskError, ErrorInfo, StepFailed, SuggestedAction, text_of
from agent_tasks.storable import storable

NOT_SHOWN = "not shown: the agent is sensitive"
_OURS = str(Path(__file__).parents[1])
_PASSING = (ConnectionError, TimeoutError)
"""Errors that may be over when the task is resumed; the same code would raise anything else again."""


def formatted(error: BaseException) -> str:
    """The traceback of an error as Python prints it; where that fails, where it was raised and its type."""
    try:
        return "".join(traceback.format_exception(type(error), error, theirs(error)))
    except Exception:
        return "".join([*traceback.format_tb(theirs(error)), type(error).__qualname__])


def theirs(error: BaseException) -> TracebackType | None:
    """The traceback from the step's own function on: the worker's frames above it say nothing to the author."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    return trace


def describe(error: BaseException, step: str, step_number: int) -> ErrorInfo:
    """The machine-readable form of what a step raised."""
    if isinstance(error, AgentTaskError):
        info = error.info
    else:
        failed = StepFailed(f"Step {step} failed: {said(error)}", exception=type(error).__qualname__, step=step)
        info = failed.info
        if isinstance(error, _PASSING):
            info = info.model_copy(update={"suggested_action": SuggestedAction.RESUME})
    return info.model_copy(update={"message": storable(info.message[:4000]), "checkpoint": step_number or None})


def said(error: BaseException) -> str:
    """The type and message of an error, in one line or more."""
    kind, text = type(error).__name__, text_of(error)
    return f"{kind}: {text}" if text else kind


def root_error(error: BaseException) -> BaseException:
    """The error that says why a step raised: the first typed error of an exception group, else `error` itself."""
    if isinstance(error, BaseExceptionGroup):
        return next((e for e in _causes(error) if isinstance(e, AgentTaskError)), error)
    return error


def find_cause(error: BaseException, kinds: tuple[type[Exception], ...]) -> Exception | None:
    """The error of one of these kinds that `error` is, came from, or holds as an exception group."""
    return next((e for e in _causes(error) if isinstance(e, kinds)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    ahead: list[BaseException | None] = [error]
    while ahead:
        found = ahead.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        ahead += [found.__context__, found.__cause__]
        if isinstance(found, BaseExceptionGroup):
            members: tuple[BaseException, ...] = found.exceptions
            ahead += reversed(members)
