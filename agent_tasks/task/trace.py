"""A task's trace, as the `traceparent` of W3C Trace Context (https://www.w3.org/TR/trace-context/)."""

import re
import secrets
import sys
from typing import Any
from uuid import UUID

from agent_tasks.errors import InvalidInput
from agent_tasks.task import origin
from agent_tasks.task.arguments import shown

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")


def check_traceparent(traceparent: Any) -> str:
    """Return `traceparent` if it is a valid one. Raises InvalidInput otherwise."""
    if not isinstance(traceparent, str) or not _TRACEPARENT.match(traceparent):
        raise InvalidInput(
            "traceparent must be 00-<trace id>-<span id>-<flags> of 32, 16 and 2 lowercase hex digits, neither id all "
            f"zeros, as W3C Trace Context says, not {shown(traceparent)}",
            field="traceparent",
        )
    return traceparent


def span_traceparent() -> str | None:
    """Return the traceparent of the current span if the program uses OpenTelemetry; None if there is no span."""
    opentelemetry = sys.modules.get("opentelemetry.trace")
    if opentelemetry is None:
        return None
    span = opentelemetry.get_current_span().get_span_context()
    if not span.is_valid:
        return None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def current_traceparent() -> str | None:
    """Return the traceparent of the current span, else of the request that is being served; None without either."""
    return span_traceparent() or origin.current().traceparent


def new_traceparent() -> str:
    """Return the traceparent of a new trace, marked as sampled so that workers which trace record its spans."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def span_of(task_id: UUID) -> str:
    """Return the id of a task's own span, which is fixed with the task: the second half of its id, never all zeros."""
    return task_id.hex[16:]


def below(traceparent: str, task_id: UUID) -> str:
    """Return the traceparent of a task's own span in the trace of another span."""
    return f"{traceparent[:36]}{span_of(task_id)}{traceparent[52:]}"


def own_and_parent(task_id: UUID, traceparent: str, parent_span: str | None) -> tuple[str, str | None]:
    """Return the traceparent of a task's own span and the id of the span above it.

    A task from before there were spans of ours has been given that of its caller as its own.
    """
    if traceparent[36:52] == span_of(task_id):
        return traceparent, parent_span
    return below(traceparent, task_id), traceparent[36:52]
