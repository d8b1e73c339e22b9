"""What traces cost: steps per second and processor time of a worker that writes spans, beside one that does not."""

import os
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median

from benchmarks.deployment import Deployment, deployment
from benchmarks.tables import Table, Target, at_most, spread
from benchmarks.usage import cpu_seconds

PAIRS, CALLS, STEPS = 10, 320, 3_000
CALL_SECONDS = 0.25
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def run(quick: bool) -> list[Table]:
    pairs = 3 if quick else PAIRS
    calls, steps = (CALLS // 2, STEPS // 2) if quick else (CALLS, STEPS)
    table = Table(
        "What traces cost",
        note=f"Two workers of 16 slots, of async steps, too, one with AGENT_TASKS_TRACES=false, which take turns in "
        f"going first; {pairs} "
        f"pairs, of {calls:,} tasks of one step with a recorded call of {CALL_SECONDS * 1000:.0f} ms, and of {steps:,} "
        "steps that do nothing, 10 a task. Spans are sent by OTLP to a program on this machine that takes them.",
    )
    with (
        collector(),
        deployment() as made,
        made.worker(queue="traced", async_steps=16) as traced,
        made.worker(queue="plain", async_steps=16, traces="false") as plain,
    ):
        pids = {"traced": traced.pid, "plain": plain.pid}
        called, spun = [{"seconds": CALL_SECONDS}] * calls, [{"steps": 10}] * (steps // 10)
        _compare(
            made, table, pids, "16 steps at once, each with a call of 250 ms", "pause", called, pairs, at_most(3, "%")
        )
        _compare(made, table, pids, "ten steps that do nothing, at the worker's limit", "loop", spun, pairs, None)
    return [table]


@contextmanager
def collector() -> Generator[None]:
    """A program's end of OTLP over HTTP, which takes all and keeps nothing; workers are told of it."""

    class Taker(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            taken.append(self.path)

        def log_message(self, format: str, *args: object) -> None:
            pass

    taken: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Taker) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        os.environ[_ENDPOINT] = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield
        finally:
            del os.environ[_ENDPOINT]
            server.shutdown()
            thread.join()
    assert taken, "no span was sent"


def _compare(
    made: Deployment,
    table: Table,
    pids: Mapping[str, int],
    what: str,
    agent: str,
    inputs: Sequence[Mapping[str, float]],
    pairs: int,
    target: Target | None,
) -> None:
    slower: list[float] = []
    dearer: list[float] = []
    for pair in range(pairs):
        seconds: dict[str, float] = {}
        cpu: dict[str, float] = {}
        for queue in sorted(pids, reverse=pair % 2 == 1):
            before, start = cpu_seconds(pids[queue]), time.perf_counter()
            made.client.submit_many(agent, inputs, queue=queue)
            made.until_idle()
            seconds[queue], cpu[queue] = time.perf_counter() - start, cpu_seconds(pids[queue]) - before
        slower.append(100 * (1 - seconds["plain"] / seconds["traced"]))
        dearer.append(1e6 * (cpu["traced"] - cpu["plain"]) / len(inputs))
    table.check(f"{what}: steps/s lost", target, median(slower), f"{spread(slower, '{:.1f}')} %")
    table.check(f"{what}: processor time more of a task", None, median(dearer), f"{spread(dearer)} µs")
