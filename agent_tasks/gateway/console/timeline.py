"""Timeline: what a task did one thing after the other, drawn so that idle time takes little room."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent_tasks.client.calls import CallInfo
from agent_tasks.task.event import Event

WIDTH = 1000.0
"""Units from the first event to the last."""
_IDLE = 0.2
"""What of all the time in steps an idle time is drawn as, at most."""
_LEAST = 0.004
"""What of the width a span has, at least, to be seen."""
_WAITS = {"signal": "signal", "timer": "time", "children": "children", "retry": "next try"}
_LET_GO = {"released": "given back", "expired": "worker lost"}


@dataclass
class Mark:
    """A call within a span."""

    call: CallInfo
    x: float = 0.0
    width: float = 0.0

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it is under way."""
        return (self.call.finished_at - self.call.started_at).total_seconds() if self.call.finished_at else None


@dataclass
class Span:
    """A time in which a task did one thing."""

    kind: str
    """`queued`, `run` or `wait`."""
    label: str
    since: datetime
    until: datetime
    step_number: int = 0
    attempt: int = 1
    worker: str = ""
    outcome: str = ""
    """How it ended; empty while it lasts."""
    is_bad: bool = False
    error: str = ""
    """What went wrong in it, where the history says so."""
    is_open: bool = True
    x: float = 0.0
    width: float = 0.0
    is_cut: bool = False
    """It is drawn shorter than it was."""
    marks: list[Mark] = field(default_factory=list[Mark])

    @property
    def seconds(self) -> float:
        """How long it lasted, or has lasted."""
        return max(0.0, (self.until - self.since).total_seconds())


def timeline(events: Sequence[Event], calls: Sequence[CallInfo], now: datetime) -> list[Span]:
    """Return the spans of a task's history, in order and without gaps, each with its place."""
    spans: list[Span] = []
    for event in events:
        _tell(spans, event)
    if spans and spans[-1].is_open:
        spans[-1].until = max(now, spans[-1].since)
    _place(spans)
    _mark(spans, calls, now)
    return spans


def _tell(spans: list[Span], event: Event) -> None:
    data: dict[str, Any] = event.data if isinstance(event.data, dict) else {}
    last = spans[-1] if spans and spans[-1].is_open else None
    match event.type:
        case "claimed":
            _close(last, event.at, "")
            number, attempt = data.get("step_number", 0), data.get("attempt", 1)
            label = str(data.get("step", "step"))
            worker = data.get("worker") or (spans[-1].worker if spans else "")
            for before in reversed(spans):
                worker = worker or before.worker
            spans.append(Span("run", label, event.at, event.at, number, attempt, str(worker)))
        case "committed":
            _close(last, event.at, "committed")
        case "waiting":
            _close(last, event.at, "parked" if last and last.kind == "run" else "")
            kind = str(data.get("kind", "wait"))
            names = [str(name) for name in data.get("names") or ()]
            label = f"waits for {' or '.join(names) if names else _WAITS.get(kind, kind)}"
            spans.append(Span("wait", label, event.at, event.at))
        case "retried":
            _close(last, event.at, "failed", is_bad=True)
            if last is not None:
                last.error = str(data.get("error", ""))
            spans.append(Span("wait", "waits for its next try", event.at, event.at))
        case "released" | "expired":
            _close(last, event.at, _LET_GO[event.type], is_bad=event.type == "expired")
            spans.append(Span("queued", "pending", event.at, event.at))
        case "submitted" | "resumed" | "dispatched" | "joined" | "undoing":
            if last is None or last.kind != "queued":
                _close(last, event.at, "over" if last and last.kind == "wait" else "")
                spans.append(Span("queued", "pending", event.at, event.at))
        case "finished":
            status = str(data.get("status", ""))
            _close(last, event.at, status, is_bad=status in ("failed", "timeout"))
            if spans and not spans[-1].outcome.startswith(status):
                spans[-1].outcome = f"{spans[-1].outcome}, {status}" if spans[-1].outcome else status
        case _:
            pass


def _close(span: Span | None, at: datetime, outcome: str, *, is_bad: bool = False) -> None:
    if span is not None:
        span.until, span.is_open, span.outcome, span.is_bad = at, False, outcome, is_bad


def _place(spans: Sequence[Span]) -> None:
    """Give each span its place: time in steps as it was, idle time cut to a part of that."""
    busy = sum(span.seconds for span in spans if span.kind == "run")
    most_idle = _IDLE * busy if busy else max((span.seconds for span in spans), default=0.0)
    drawn: list[float] = []
    for span in spans:
        span.is_cut = span.kind != "run" and span.seconds > most_idle > 0
        drawn.append(most_idle if span.is_cut else span.seconds)
    total = sum(drawn) or 1.0
    least = _LEAST * total if len(spans) * _LEAST < 0.5 else 0.0
    drawn = [max(seconds, least) for seconds in drawn]
    total = sum(drawn) or 1.0
    x = 0.0
    for span, seconds in zip(spans, drawn, strict=True):
        span.x, span.width = x, WIDTH * seconds / total
        x += span.width


def _mark(spans: Sequence[Span], calls: Sequence[CallInfo], now: datetime) -> None:
    """Put each call into the run in which it was begun."""
    runs: dict[int, list[Span]] = {}
    for span in spans:
        if span.kind == "run":
            runs.setdefault(span.step_number, []).append(span)
    for call in calls:
        of_step = runs.get(call.step_number, [])
        span = next((run for run in reversed(of_step) if run.since <= call.started_at), None)
        if span is None:
            continue
        length = span.seconds or 1.0
        begins = (call.started_at - span.since).total_seconds() / length
        ends = ((call.finished_at or now) - span.since).total_seconds() / length
        begins, ends = min(max(begins, 0.0), 1.0), min(max(ends, 0.0), 1.0)
        span.marks.append(Mark(call, span.x + span.width * begins, max(1.5, span.width * (ends - begins))))
