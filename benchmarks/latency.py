"""How long a caller waits for submit() and for the first step, and a task between two of its steps."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from agent_tasks.doorbell.lists import OURS
from benchmarks.deployment import Deployment, deployment, until
from benchmarks.rivals import dbos_chain
from benchmarks.tables import Table, at_least, at_most, spread

TIMES, BATCH, BATCHES = 300, 5_000, 5
RIVAL_TIMES, DBOS_DEFAULT_SECONDS = 30, 1.0
_WRITTEN = "SELECT EXISTS (SELECT FROM agent_tasks.tasks WHERE queue = %s)"


def run(quick: bool) -> list[Table]:
    with deployment() as made:
        times = TIMES // 10 if quick else TIMES
        return [
            _single(made, times),
            _batches(made, 1 if quick else BATCHES),
            _rival(made, 5 if quick else RIVAL_TIMES),
        ]


def _single(made: Deployment, times: int) -> Table:
    table = Table("Latency of one task on an idle worker", note=f"{times} times each, one after the other; threads 8.")
    with made.worker():
        table.check_times("submit()", _times(times, lambda: _submit(made)), p50=at_most(3, "ms"))
        table.check_times(
            "submit() called to first step running",
            _times(times, lambda: _first_step(made)),
            p50=at_most(8, "ms"),
            p99=at_most(50, "ms"),
        )
        for agent in ("relay", "relay_async"):
            seconds = _times(times, lambda agent=agent: made.client.submit(agent).result(timeout=10))
            table.check_times(f"end of a step to start of the next, in place ({agent})", seconds, p50=at_most(1, "ms"))
    with made.worker(quantum_seconds=0):
        for agent in ("relay", "relay_async"):
            seconds = _times(times, lambda agent=agent: made.client.submit(agent).result(timeout=10))
            table.check_times(f"the same through the broker ({agent})", seconds, p50=at_most(8, "ms"))
    return table


def _batches(made: Deployment, rounds: int) -> Table:
    """No worker takes from the queue of a batch, so that its bells can be counted."""
    table = Table(
        f"submit_many of {BATCH:,} tasks",
        note="Seen from other connections: when the tasks are visible in Postgres, and when the last bell is in Redis.",
    )
    rates, rung, returned = [], [], []
    for number in range(rounds):
        queue = f"batch-{number}"
        with ThreadPoolExecutor(1) as thread:
            watcher = thread.submit(_watch, made, queue)
            start = time.perf_counter()
            made.client.submit_many("loop", [{"steps": 1}] * BATCH, queue=queue)
            returned.append(time.perf_counter() - start)
            committed_at, rung_at = watcher.result()
        rates.append(BATCH / (committed_at - start))
        rung.append(rung_at - start)
    table.check("committed", at_least(5_000, "tasks/s"), min(rates), f"{spread(rates)} tasks/s")
    table.check("all rung after", at_most(2, "s"), max(rung), f"{spread(rung, '{:.2f}')} s")
    table.check("submit_many() returns after", None, max(returned), f"{spread(returned, '{:.2f}')} s")
    return table


def _watch(made: Deployment, queue: str) -> tuple[float, float]:
    """When the batch was committed, and when all its bells were rung."""
    until(lambda: made.value(_WRITTEN, [queue]), f"the batch of {queue} is committed", every=0.004)
    committed = time.perf_counter()
    keys = OURS.of(queue)
    until(lambda: sum(made.client.redis.llen(key) for key in keys) >= BATCH, f"{queue} has all bells", every=0.004)
    return committed, time.perf_counter()


def _rival(made: Deployment, times: int) -> Table:
    table = Table(
        "For comparison: DBOS, enqueued to first step running", note=f"{times} times each, at varied moments."
    )
    for seconds in (DBOS_DEFAULT_SECONDS, dbos_chain.POLLING_SECONDS):
        found = dbos_chain.first_step_seconds(made, times, seconds)
        table.check_times(f"its queue, polled every {seconds:g} s", found)
    return table


def _times(times: int, measure: Callable[[], float]) -> list[float]:
    return [measure() for _ in range(times)]


def _submit(made: Deployment) -> float:
    start = time.perf_counter()
    task = made.client.submit("clock")
    seconds = time.perf_counter() - start
    task.wait(timeout=10)
    return seconds


def _first_step(made: Deployment) -> float:
    start = time.time()
    return made.client.submit("clock").result(timeout=10) - start
