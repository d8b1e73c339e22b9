"""Spans: ids that are fixed beforehand, parents, times, and nothing where there is no OpenTelemetry."""

import subprocess
import sys
from uuid import UUID

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, SamplingResult, TraceIdRatioBased

from agent_tasks.client.sending import Sending
from agent_tasks.task.trace import below, own_and_parent, span_of
from agent_tasks.tracing import provider as ours
from agent_tasks.tracing.spans import Failure, Spans, _say_failed
from agent_tasks.transitions.submit import NewTask

ID = UUID("01a21fd4-e19c-76fe-894d-ee8251f0252a")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = f"00-{TRACE}-00f067aa0ba902b7-01"


class Written:
    def __init__(self, provider: TracerProvider) -> None:
        self.provider = provider
        self._exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def all(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "_known", (None, None))


@pytest.fixture
def written(use: None, monkeypatch: pytest.MonkeyPatch) -> Written:
    found = Written(TracerProvider())
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: found.provider)
    return found


def task(**values: object) -> NewTask:
    given = {"traceparent": below(CALLER, ID), "parent_span": CALLER[36:52], **values}
    return NewTask(ID, "writer", "first", "{}", "agents", 900.0, **given)  # type: ignore[arg-type]


def test_a_span_has_the_ids_and_the_times_that_it_is_given(written: Written) -> None:
    own = below(CALLER, ID)
    Spans(True).write("invoke_agent writer", own, "00f067aa0ba902b7", began=5, ended=7, attributes={"a": 1, "b": None})
    Spans(True).write("root", own, None, began=5, ended=4, attributes={}, failure=Failure("step_failed", "why"))
    first, root = written.all()
    assert first.context is not None
    assert root.context is not None
    assert f"{first.context.trace_id:032x}" == f"{root.context.trace_id:032x}" == TRACE
    assert f"{first.context.span_id:016x}" == f"{root.context.span_id:016x}" == span_of(ID) == "894dee8251f0252a"
    assert first.parent is not None
    assert f"{first.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert (first.start_time, first.end_time, dict(first.attributes or {})) == (5, 7, {"a": 1})
    assert root.parent is None
    assert (root.start_time, root.end_time) == (5, 5)
    assert (root.status.status_code, root.status.description) == (trace.StatusCode.ERROR, "why")


def test_the_spans_of_the_program_have_ids_of_their_own(written: Written) -> None:
    tracer = written.provider.get_tracer("program")
    with tracer.start_as_current_span("a"), tracer.start_as_current_span("b"):
        Spans(True).write("ours", below(CALLER, ID), None, began=5, ended=7, attributes={})
    ids = {span.context.span_id for span in written.all() if span.context}
    assert len(ids) == 3


class _Broken(SpanProcessor):
    def on_end(self, span: ReadableSpan) -> None:
        raise ConnectionError("the collector's own trouble")


class _Undecided(Sampler):
    def should_sample(self, *args: object, **kwargs: object) -> SamplingResult:
        raise LookupError("no rule")

    def get_description(self) -> str:
        return "undecided"


@pytest.mark.parametrize("sampler", [None, _Undecided()])
def test_what_the_programs_sampler_or_processor_raises_ends_no_submit_and_is_told_once(
    use: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sampler: Sampler | None
) -> None:
    _say_failed.cache_clear()
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(_Broken())
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    for _ in range(3):
        sending = Sending(Spans(True), [task(parent_span=None)])
        sending.written([ID])
    assert caplog.text.count("spans are lost") == 1


def test_a_submit_is_a_span_between_the_caller_and_the_task(written: Written) -> None:
    sending = Sending(Spans(True), [task()])
    assert written.all() == ()
    (sent,) = sending.tasks
    sending.written([ID])
    (span,) = written.all()
    assert span.name == "send writer"
    assert span.kind is trace.SpanKind.PRODUCER
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.parent.span_id:016x}", f"{span.context.span_id:016x}") == (CALLER[36:52], sent.parent_span)
    assert sent.traceparent == task().traceparent


def test_a_trace_that_begins_with_a_submit_is_sampled_there_once_for_all(
    use: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Written(TracerProvider(sampler=ParentBased(TraceIdRatioBased(0.0))))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: found.provider)
    sending = Sending(Spans(True), [task(parent_span=None)])
    assert sending.tasks[0].traceparent == f"00-{TRACE}-{span_of(ID)}-00"
    sending.written([ID])
    Spans(True).write("step", f"00-{TRACE}-{'1' * 16}-00", span_of(ID), began=1, ended=2, attributes={})
    assert found.all() == ()


def test_of_a_trace_that_its_caller_does_not_record_nothing_is_written(written: Written) -> None:
    Spans(True).write("step", f"00-{TRACE}-{'1' * 16}-02", span_of(ID), began=1, ended=2, attributes={})
    assert written.all() == ()
    Spans(True).write("step", f"00-{TRACE}-{'1' * 16}-03", span_of(ID), began=1, ended=2, attributes={})
    assert len(written.all()) == 1


def test_a_task_of_a_caller_without_spans_has_its_caller_above_it() -> None:
    own = below(CALLER, ID)
    assert own_and_parent(ID, own, "1" * 16) == (own, "1" * 16)
    assert own_and_parent(ID, CALLER, None) == (own, CALLER[36:52])  # from before tasks had spans of their own


def test_switched_off_or_without_a_provider_nothing_is_written(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not Spans(False).are_written
    Spans(False).write("ours", below(CALLER, ID), None, began=5, ended=7, attributes={})
    assert written.all() == ()
    for other in (trace.ProxyTracerProvider(), trace.NoOpTracerProvider()):
        monkeypatch.setattr(trace, "get_tracer_provider", lambda other=other: other)
        assert not Spans(True).are_written
        assert Sending(Spans(True), [task()]).tasks == [task()]


def test_without_opentelemetry_a_process_that_was_told_an_endpoint_says_what_is_missing() -> None:
    code = (
        "import sys, logging; logging.basicConfig()\n"
        "sys.modules['opentelemetry'] = None\n"
        "import agent_tasks, agent_tasks.engine.process.runtime\n"
        "from agent_tasks.tracing.provider import flush, provide, tracer\n"
        "provide('worker', is_on=True); flush(); assert tracer() is None"
    )
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert "pip install 'agent-tasks[otel]'" in ended.stderr
