"""Chained steps per second: this system against a bare Celery chain, interleaved, on the same servers."""

import os
import time

import redis

from benchmarks.deployment import Deployment, deployment, until
from benchmarks.tables import Table, spread

TASKS, STEPS, ROUNDS = 300, 10, 3

SYSTEMS = {
    "agent-tasks, prefork 2": ("prefork", 2, 0.1),
    "agent-tasks, threads 8": ("threads", 8, 0.1),
    "agent-tasks, prefork 2, each step through the broker": ("prefork", 2, 0.0),
}
PLAIN = "bare Celery chain, prefork 2 (not durable)"


def run() -> list[Table]:
    rates: dict[str, list[float]] = {name: [] for name in [*SYSTEMS, PLAIN]}
    with deployment() as made:
        for _ in range(ROUNDS):
            for name, (pool, concurrency, quantum) in SYSTEMS.items():
                with made.worker(pool, concurrency, quantum_seconds=quantum):
                    rates[name].append(_ours(made))
            rates[PLAIN].append(_plain(made))
    base = sorted(rates[PLAIN])[ROUNDS // 2]
    table = Table(
        f"Chained steps per second ({TASKS} tasks of {STEPS} steps that do nothing)",
        ["system", "steps/s: median (least to most)", "ratio to bare Celery"],
        note=f"{ROUNDS} rounds, interleaved; two prefork processes or eight threads; fsync on.",
    )
    for name, values in rates.items():
        table.rows.append([name, spread(values), f"{sorted(values)[ROUNDS // 2] / base:.2f}"])
    return [table]


def _ours(made: Deployment) -> float:
    start = time.perf_counter()
    made.client.submit_many("loop", [{"steps": STEPS}] * TASKS)
    until(lambda: made.count("finished_at IS NULL") == 0)
    return TASKS * STEPS / (time.perf_counter() - start)


def _plain(made: Deployment) -> float:
    os.environ["AGENT_TASKS_REDIS_URL"] = made.settings.redis_url
    from benchmarks.plain_celery import app, spin

    app.conf.broker_url = made.settings.redis_url
    client = redis.Redis.from_url(made.settings.redis_url)
    arguments = ["celery", "-A", "benchmarks.plain_celery:app", "worker", "-P", "prefork", "-c", "2"]
    with made.process(*arguments, "--loglevel", "WARNING", "-Q", "plain"):
        client.delete("plain:done")
        spin.delay(1)
        until(lambda: int(client.get("plain:done") or 0) == 1)
        client.delete("plain:done")
        start = time.perf_counter()
        for _ in range(TASKS):
            spin.delay(STEPS)
        until(lambda: int(client.get("plain:done") or 0) == TASKS)
        return TASKS * STEPS / (time.perf_counter() - start)
