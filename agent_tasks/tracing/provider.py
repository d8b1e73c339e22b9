"""The tracer that spans are written with, and the provider that our own processes make where they are told where to."""

import logging
import os
import sys
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

log = logging.getLogger(__name__)
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_FLUSH_MILLISECONDS = 2000
fixed: ContextVar[tuple[int, int] | None] = ContextVar("agent_tasks_fixed_span", default=None)
"""The ids of trace and span that the next span of ours has."""


class FixedIds:
    """A generator of ids that gives those that are fixed, and else what the provider's own gives."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def generate_span_id(self) -> int:
        ids = fixed.get()
        return self._inner.generate_span_id() if ids is None else ids[1]

    def generate_trace_id(self) -> int:
        ids = fixed.get()
        return self._inner.generate_trace_id() if ids is None else ids[0]

    def is_trace_id_random(self) -> bool:
        return fixed.get() is None and self._inner.is_trace_id_random()


_known: tuple[Any, "Tracer | None"] = (None, None)
"""The provider that was looked at last, and our tracer of it."""


def tracer() -> "Tracer | None":
    """Return the tracer of our scope; None where the program has no OpenTelemetry, or has set up no provider."""
    global _known
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    provider = api.get_tracer_provider()
    if provider is not _known[0]:
        _known = (provider, _tracer_of(provider))
    return _known[1]


def _tracer_of(provider: Any) -> "Tracer | None":
    """Return our tracer of a provider of the SDK. Of another one the ids of spans cannot be fixed."""
    from opentelemetry import trace

    if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return None
    made: Any = provider.get_tracer("agent_tasks")
    if isinstance(made, trace.NoOpTracer):  # OTEL_SDK_DISABLED
        return None
    if not hasattr(made, "id_generator"):
        log.warning("no spans of tasks: the tracer provider is not OpenTelemetry's SDK but %s", type(provider))
        return None
    if not isinstance(made.id_generator, FixedIds):  # of our scope alone: the program's own spans are left as they are
        made.id_generator = FixedIds(made.id_generator)
    return made


def provide(service: str, *, is_on: bool) -> None:
    """Have the spans of this process sent where OTEL_EXPORTER_OTLP_ENDPOINT says; nothing where it says nothing.

    A provider that the program has set up stays. `service`: its name, unless OTEL_SERVICE_NAME says another.
    """
    if not is_on or not any(map(os.environ.get, _ENDPOINTS)):
        return
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        _say_missing(str(error.name))
        return
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: service}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    log.info("traces go to %s", next(filter(None, map(os.environ.get, _ENDPOINTS))))


def flush() -> None:
    """Send what is not sent yet, within two seconds: the process ends."""
    if tracer() is not None:
        provider: Any = _known[0]
        provider.force_flush(_FLUSH_MILLISECONDS)


@cache
def _say_missing(module: str) -> None:
    log.warning(
        "no traces: OTEL_EXPORTER_OTLP_ENDPOINT is set, and there is no %s: pip install 'agent-tasks[otel]'", module
    )
