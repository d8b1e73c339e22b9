"""A collector of traces: what an OpenTelemetry exporter sends over HTTP is kept, and read as spans."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Seen:
    """A span that has arrived."""

    name: str
    trace_id: str
    id: str
    parent: str
    began: int
    ended: int
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    """(trace id, span id) of each."""
    failed: bool
    service: str
    scope: str

    @property
    def seconds(self) -> float:
        return (self.ended - self.began) / 1e9


class Collector:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.all: list[Seen] = []
        """Those of libraries, too: FastAPI writes one for each request."""

    @property
    def spans(self) -> list[Seen]:
        return [span for span in self.all if span.scope == "agent_tasks"]

    def above(self, span: Seen) -> list[str]:
        """The ids of the spans above it, up to one that nobody has sent."""
        ids = [span.parent]
        while found := [each for each in self.all if each.id == ids[-1]]:
            ids.append(found[0].parent)
        return ids

    def named(self, name: str, trace_id: str | None = None) -> list[Seen]:
        return [span for span in self.spans if span.name == name and trace_id in (None, span.trace_id)]

    def one(self, name: str) -> Seen:
        (span,) = self.named(name)
        return span

    def keep(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            service = _values(resource.resource.attributes).get("service.name", "")
            for scope in resource.scope_spans:
                self.all += [_seen(span, service, scope.scope.name) for span in scope.spans]


def _values(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def _seen(span: Any, service: str, scope: str) -> Seen:
    return Seen(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _values(span.attributes),
        tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        span.status.code == 2,
        service,
        scope,
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.keep(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
