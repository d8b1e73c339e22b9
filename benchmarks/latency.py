"""How long a caller waits: submit, submit to first step, signal to step, and a status read."""

import time
from collections.abc import Callable

from benchmarks.deployment import Deployment, deployment, until
from benchmarks.tables import Table, percentile

TIMES = 200


def run() -> list[Table]:
    table = Table(
        "Latency in milliseconds on an idle threads worker",
        ["what", "p50", "p95", "p99"],
        note=f"{TIMES} times each, one after the other.",
    )
    with deployment() as made, made.worker(), made.sweeping():
        for name, measure in MEASURES.items():
            values = [measure(made) * 1000 for _ in range(TIMES)]
            table.rows.append([name, *(f"{percentile(values, part):.2f}" for part in (0.5, 0.95, 0.99))])
    return [table]


def _submit(made: Deployment) -> float:
    start = time.perf_counter()
    task = made.client.submit("clock")
    seconds = time.perf_counter() - start
    task.wait(timeout=10)
    return seconds


def _first_step(made: Deployment) -> float:
    start = time.time()
    return made.client.submit("clock").result(timeout=10) - start


def _signal(made: Deployment) -> float:
    task = made.client.submit("gate")
    until(lambda: task.stored().status == "waiting")
    start = time.time()
    task.signal("open")
    return task.result(timeout=10) - start


def _wait(made: Deployment) -> float:
    """From the step that ends the task to wait() returning."""
    return time.time() - made.client.submit("clock").result(timeout=10)


def _snapshot(made: Deployment) -> float:
    task = made.client.submit("clock")
    task.wait(timeout=10)
    start = time.perf_counter()
    task.snapshot()
    return time.perf_counter() - start


MEASURES: dict[str, Callable[[Deployment], float]] = {
    "submit()": _submit,
    "submit to first step running": _first_step,
    "signal to step running": _signal,
    "last step to wait() returning": _wait,
    "snapshot() from the mirror": _snapshot,
}
