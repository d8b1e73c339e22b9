"""Spans: each is written once, with its true times, after what it tells of is committed; none is held open."""

import logging
import secrets
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from agent_tasks.task.row import BellRow, TaskRow
from agent_tasks.task.trace import own_and_parent
from agent_tasks.tracing.provider import fixed, tracer

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanContext, Tracer

log = logging.getLogger(__name__)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
Attributes = Mapping[str, Any]
"""What a span says; what is None of it is left out."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How what a span tells of has failed."""

    type: str
    message: str | None = None
    """None of a sensitive task."""


def now() -> int:
    """Return the time of this machine, in nanoseconds: only shown."""
    return time.time_ns()


def at(moment: datetime) -> int:
    """Return a time of Postgres's in nanoseconds."""
    return (moment - _EPOCH) // _MICROSECOND * 1000


def new_below(traceparent: str) -> str:
    """Return the traceparent of a new span in the trace of another."""
    return f"{traceparent[:36]}{secrets.token_hex(8)}{traceparent[52:]}"


def is_recorded(traceparent: str) -> bool:
    """Whether the trace was sampled where it began; of others nothing is written, nor made to be."""
    return traceparent[54] in "13579bdf"


def described(row: BellRow) -> dict[str, Any]:
    """Return what each span says of its task."""
    return {
        "agent_tasks.task.id": str(row["id"]),
        "gen_ai.agent.name": row["agent"],
        "gen_ai.conversation.id": row["session_id"],
        "agent_tasks.tenant": (row["identity"] or {}).get("tenant") or None,
    }


def span_context(traceparent: str, *, is_remote: bool = True) -> "SpanContext":
    """Return a traceparent as OpenTelemetry has it."""
    from opentelemetry.trace import SpanContext, TraceFlags

    flags = TraceFlags(int(traceparent[53:], 16))
    return SpanContext(int(traceparent[3:35], 16), int(traceparent[36:52], 16), is_remote, flags)


def context_of(traceparent: str, within: "Context | None" = None) -> "Context":
    """Return a context whose current span is this one, of which nothing is recorded there."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, set_span_in_context

    span = NonRecordingSpan(span_context(traceparent, is_remote=within is None))
    return set_span_in_context(span, Context() if within is None else within)


@contextmanager
def harmless() -> Generator[None]:
    """What a sampler or a span processor of the program raises, or Postgres when it is asked for a span, is logged:
    the commit that the span tells of has gone before, or the step that it is to tell of goes on without."""
    try:
        yield
    except Exception as error:
        _say_failed(type(error))
        log.debug("a span was not written", exc_info=True)


@cache
def _say_failed(kind: type[Exception]) -> None:
    log.exception("spans are lost; said once of %s", kind.__name__)


class Spans:
    """Writes spans where the program has a tracer provider of OpenTelemetry's SDK."""

    def __init__(self, is_on: bool) -> None:
        self._is_on = is_on

    @property
    def are_written(self) -> bool:
        return self._is_on and tracer() is not None

    def is_sampled(self, traceparent: str, name: str) -> bool:
        """Whether a trace that begins with this span is recorded, by the provider's sampler."""
        if (ours := tracer()) is None:
            return True
        sampler: Any = getattr(ours, "sampler", None)
        with harmless():
            if sampler is not None:
                return sampler.should_sample(None, int(traceparent[3:35], 16), name).decision.is_sampled()
        return True

    def write(
        self,
        name: str,
        traceparent: str,
        parent: str | None,
        *,
        began: int,
        ended: int,
        attributes: Attributes,
        kind: str = "INTERNAL",
        links: Iterable[str] = (),
        failure: Failure | None = None,
    ) -> None:
        """Write a span that is over. `traceparent` is its own; `parent`: the id of the span above it, if any.

        Times are in nanoseconds, links are traceparents.
        """
        ours = tracer()
        if ours is None or not self._is_on or not is_recorded(traceparent):
            return
        with harmless():
            self._write(ours, name, traceparent, parent, began, ended, attributes, kind, links, failure)

    def _write(
        self,
        ours: "Tracer",
        name: str,
        traceparent: str,
        parent: str | None,
        began: int,
        ended: int,
        attributes: Attributes,
        kind: str,
        links: Iterable[str],
        failure: Failure | None,
    ) -> None:
        from opentelemetry.context import Context
        from opentelemetry.trace import Link, SpanKind, StatusCode

        above = Context() if parent is None else context_of(f"{traceparent[:36]}{parent}{traceparent[52:]}")
        said = {key: value for key, value in attributes.items() if value is not None}
        if failure is not None:
            said["error.type"] = failure.type
        token = fixed.set((int(traceparent[3:35], 16), int(traceparent[36:52], 16)))
        try:
            span = ours.start_span(
                name,
                above,
                SpanKind[kind],
                said,
                [Link(span_context(link)) for link in links],
                began,
                record_exception=False,
            )
        finally:
            fixed.reset(token)
        if failure is not None:
            span.set_status(StatusCode.ERROR, failure.message)
        span.end(max(began, ended))

    def ended(self, row: TaskRow) -> None:
        """Write the span of a task that has ended just now."""
        finished = row["finished_at"]
        if row["traceparent"] is None or finished is None or not self.are_written:
            return
        own, parent = own_and_parent(row["id"], row["traceparent"], row["parent_span"])
        error: Mapping[str, Any] | None = row["error"]
        self.write(
            f"invoke_agent {row['agent']}",
            own,
            parent,
            began=at(row["created_at"]),
            ended=at(finished),
            attributes={
                **described(row),
                "gen_ai.operation.name": "invoke_agent",
                "agent_tasks.task.status": row["status"],
                "agent_tasks.task.steps": row["spent_steps"],
                "agent_tasks.task.parent_id": _text(row["parent_id"]),
                "agent_tasks.task.resumed_from": _text(row["resumed_from"]),
                "agent_tasks.spent.tokens": row["spent_tokens"],
                "agent_tasks.spent.usd": row["spent_usd"],
                "agent_tasks.spent.seconds": row["spent_seconds"],
                "agent_tasks.spent.calls": row["spent_calls"],
            },
            failure=None
            if error is None
            else Failure(str(error["type"]), None if row["sensitive"] else error["message"]),
        )


def _text(id: UUID | None) -> str | None:
    return None if id is None else str(id)
