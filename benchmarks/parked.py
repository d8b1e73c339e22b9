"""100,000 parked tasks: what they cost a worker and the sweep, and how late a timer fires among them."""

import time

import psutil

from beat.sweeper import Sweeper
from benchmarks.deployment import deployment, until
from benchmarks.tables import Table, percentile, spread

PARKED, ALARMS = 100_000, 50

_PARK = """
    INSERT INTO tasks
        (id, agent, status, step, step_number, queue, root_id, lineage_id, ttl_seconds, waiting_for, due_at)
    SELECT id, 'alarm', 'waiting', 'ring', 1, 'agents', id, id, 900,
        jsonb_build_object('kind', 'timer', 'since', now(), 'until', due), due
    FROM (SELECT gen_random_uuid() AS id, now() + interval '1 day' * (1 + random() * 60) AS due
          FROM generate_series(1, %s)) AS parked
"""


def run() -> list[Table]:
    table = Table(
        f"{PARKED:,} tasks parked on timers",
        ["what", "none parked", f"{PARKED:,} parked"],
        note="Medians and extremes.",
    )
    with deployment() as made, made.worker() as worker:
        sweeper = Sweeper(made.client)
        before = _tick(sweeper), psutil.Process(worker.pid).memory_info().rss
        with made.client.database.connection() as connection:
            connection.execute(_PARK, [PARKED])
            connection.execute("ANALYZE tasks")
        after = _tick(sweeper), psutil.Process(worker.pid).memory_info().rss
        table.rows.append(["a sweep's tick with nothing due, ms", *(spread(x[0], "{:.1f}") for x in (before, after))])
        table.rows.append(["memory of the worker, MB", *(f"{x[1] / 1e6:.0f}" for x in (before, after))])
        with made.sweeping():
            late = _lateness(made)
        table.rows.append(["a timer fires late by, s (p50, p99)", "", _pair(late)])
    return [table]


def _tick(sweeper: Sweeper) -> list[float]:
    times = []
    for _ in range(30):
        start = time.perf_counter()
        sweeper.run_due()
        times.append((time.perf_counter() - start) * 1000)
    return times


def _lateness(made: object) -> list[float]:
    from benchmarks.deployment import Deployment

    assert isinstance(made, Deployment)
    tasks = made.client.submit_many("alarm", [{"seconds": 2 + n / 10} for n in range(ALARMS)])
    until(lambda: all(task.snapshot().status == "completed" for task in tasks))
    late = []
    for task in tasks:
        parked = next(event for event in task.events() if event.type == "waiting")
        late.append(task.result() - parked.at.timestamp() - parked.data["seconds"])
    return late


def _pair(values: list[float]) -> str:
    return f"{percentile(values, 0.5):.2f}, {percentile(values, 0.99):.2f}"
