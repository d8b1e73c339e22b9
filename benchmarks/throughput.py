"""Chained durable steps per second: this system and others, interleaved, on the same servers."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import Any

from benchmarks.deployment import WARM_UP, Deployment, deployment
from benchmarks.plots import bars
from benchmarks.rivals import celery_chain, dbos_chain, procrastinate_chain, raw_psycopg
from benchmarks.tables import Table, at_least, spread

TASKS, STEPS, ROUNDS = 300, 10, 3
OURS = "agent-tasks"
THREADS = ("threads", 16)
"""What a worker has where nothing else is said."""
DEFAULT, BROKER = f"{OURS}, 2 workers", f"{OURS}, 2 workers, each step through the broker"
CELERY, DBOS_QUEUE = "Celery chain, prefork 2 (not durable)", "DBOS workflows through a queue"


def ours(*pools: tuple[str, int], **settings: Any) -> Callable[[Deployment, int, int], float]:
    """How many steps a second workers of these pools do, with other settings than the defaults."""

    def measure(made: Deployment, tasks: int, steps: int) -> float:
        with ExitStack() as workers:
            for number, (pool, concurrency) in enumerate(pools):
                workers.enter_context(made.worker(pool, concurrency, name=f"worker{number}", **settings))
            start = time.perf_counter()
            made.client.submit_many("loop", [{"steps": steps}] * tasks)
            made.until_idle()
            return tasks * steps / (time.perf_counter() - start)

    return measure


SYSTEMS: dict[str, Callable[[Deployment, int, int], float]] = {
    DEFAULT: ours(THREADS, THREADS),
    f"{OURS}, 1 worker": ours(THREADS),
    f"{OURS}, prefork 4": ours(("prefork", 4)),
    BROKER: ours(THREADS, THREADS, quantum_seconds=0),
    CELERY: celery_chain.undurable,
    "Celery chain with a commit per step": celery_chain.committing,
    "procrastinate, each job defers the next": procrastinate_chain.measure,
    "DBOS workflows": dbos_chain.workflows,
    DBOS_QUEUE: dbos_chain.queued,
    f"{DBOS_QUEUE}, polled often": dbos_chain.queued_polling_often,
    "psycopg alone, a statement per step": raw_psycopg.measure,
}
TARGETS = (
    (DEFAULT, CELERY, at_least(2.5, "×")),
    (DEFAULT, DBOS_QUEUE, at_least(8, "×")),
    (BROKER, CELERY, at_least(0.75, "×")),
)


def run(quick: bool) -> list[Table]:
    rounds = 1 if quick else ROUNDS
    rates: dict[str, list[float]] = {name: [] for name in SYSTEMS}
    with deployment() as made:
        for _ in range(rounds):
            for name, measure in SYSTEMS.items():
                rates[name].append(measure(made, TASKS, STEPS))
    return [_table(rates, rounds), _ratios(rates)]


def _table(rates: dict[str, list[float]], rounds: int) -> Table:
    notes = [module.NOTE for module in (celery_chain, procrastinate_chain, dbos_chain, raw_psycopg)]
    table = Table(
        f"Chained steps per second ({TASKS} tasks of {STEPS} steps that do nothing)",
        ["system", "steps/s: median (least to most)", "ratio to bare Celery, by round"],
        note=f"Rounds: {rounds}, interleaved, each in fresh processes that had run {WARM_UP * 3} steps or more. "
        f"{OURS}: the settings' defaults, which are 16 threads in a worker's process; prefork where it says so; tasks "
        "by one submit_many; beat and sweeper are not needed and do not run. "
        + ". ".join(notes)
        + ". All on the same Postgres (a database each, fsync on) and Valkey.",
        plot=bars(
            "throughput.svg",
            "Chained steps per second",
            {name: (min(values), median(values), max(values)) for name, values in rates.items()},
            OURS,
        ),
    )
    for name, values in rates.items():
        table.rows.append([name, spread(values), spread(_by_round(values, rates[CELERY]), "{:.2f}")])
    return table


def _ratios(rates: dict[str, list[float]]) -> Table:
    table = Table("What chained steps are to be", note="Medians of the ratios of each round, least to most.")
    for ours, theirs, target in TARGETS:
        ratios = _by_round(rates[ours], rates[theirs])
        table.check(f"{ours}, against {theirs}", target, median(ratios), f"{spread(ratios, '{:.2f}')} ×")
    return table


def _by_round(values: list[float], others: list[float]) -> list[float]:
    return [value / other for value, other in zip(values, others, strict=True)]
