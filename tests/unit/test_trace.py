"""Traces: what a traceparent is, and where one comes from."""

import re
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.propagate import inject

from agent_tasks import InvalidInput
from agent_tasks.task.trace import check_traceparent, current_traceparent, new_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("flags", ["00", "01", "ff"])
def test_a_traceparent_of_the_standard_is_taken_as_it_is(flags: str) -> None:
    assert check_traceparent(f"00-{TRACE}-{SPAN}-{flags}") == f"00-{TRACE}-{SPAN}-{flags}"


@pytest.mark.parametrize(
    "traceparent",
    [
        "", "00", TRACE, f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-1", f"00-{TRACE}-{SPAN}-01-",
        f"01-{TRACE}-{SPAN}-01", f"ff-{TRACE}-{SPAN}-01", f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}0-01",
        f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{SPAN}-0g", f"00-{TRACE}-{SPAN}-01\n",
        f" 00-{TRACE}-{SPAN}-01", f"00_{TRACE}_{SPAN}_01", b"00", 7, ["00"], None,
    ],
)  # fmt: skip
def test_an_invalid_traceparent_is_refused_with_its_expected_form(traceparent: Any) -> None:
    with pytest.raises(InvalidInput, match="32, 16 and 2 lowercase hex digits") as caught:
        check_traceparent(traceparent)
    assert caught.value.details["field"] == "traceparent"


def test_new_traces_are_of_the_standard_and_all_different() -> None:
    made = {new_traceparent() for _ in range(100)}
    assert len({check_traceparent(traceparent).split("-")[1] for traceparent in made}) == 100
    assert all(re.search("-01$", traceparent) for traceparent in made)


def test_the_callers_span_is_the_one_that_opentelemetry_reports() -> None:
    assert current_traceparent() is None
    context = trace.SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=False, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(context)):
        carrier: dict[str, str] = {}
        inject(carrier)
        assert current_traceparent() == carrier["traceparent"] == f"00-{TRACE}-{SPAN}-01"
    assert current_traceparent() is None


def test_a_program_without_opentelemetry_has_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(__import__("sys").modules, "opentelemetry.trace")
    assert current_traceparent() is None
