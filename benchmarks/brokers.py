"""Chained steps per second by broker: this system's and bare Celery's on the same one, interleaved."""

from collections.abc import Callable
from contextlib import ExitStack

from benchmarks.deployment import WARM_UP, Deployment, deployment
from benchmarks.rivals import celery_chain
from benchmarks.tables import Table, spread
from benchmarks.throughput import STEPS, TASKS, THREADS, ours
from tests.servers.rabbit import rabbitmq
from tests.servers.sentinels import sentinel

ROUNDS = 3
CELERY = "Celery chain, prefork 2 (not durable)"
SYSTEMS: dict[str, Callable[[Deployment, int, int], float]] = {
    "agent-tasks, 2 workers": ours(THREADS, THREADS),
    "agent-tasks, 2 workers, each step through the broker": ours(THREADS, THREADS, quantum_seconds=0),
    CELERY: celery_chain.undurable,
}


def run(quick: bool) -> list[Table]:
    """Raises what a test is skipped by where a server is not installed."""
    rounds = 1 if quick else ROUNDS
    rates: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as servers:
        made = servers.enter_context(deployment())
        watched, master = servers.enter_context(sentinel())
        rabbit = servers.enter_context(rabbitmq())
        brokers = {"Redis": "", "Sentinel": f"{watched}?master_name={master}", "RabbitMQ": rabbit.url}
        for _ in range(rounds):
            for broker, url in brokers.items():
                with made.through(url) as there:
                    for name, measure in SYSTEMS.items():
                        rates.setdefault((broker, name), []).append(measure(there, TASKS, STEPS))
    return [_table(rates, rounds)]


def _table(rates: dict[tuple[str, str], list[float]], rounds: int) -> Table:
    table = Table(
        f"Chained steps per second by broker ({TASKS} tasks of {STEPS} steps that do nothing)",
        ["broker", "system", "steps/s: median (least to most)", "ratio to bare Celery on it, by round"],
        note=f"Rounds: {rounds}, interleaved, each in fresh processes that had run {WARM_UP * 3} steps or more. Status "
        "is mirrored in the same Valkey throughout, which is also the broker of the first three lines. "
        f"{celery_chain.NOTE}.",
    )
    for (broker, name), values in rates.items():
        ratios = [value / other for value, other in zip(values, rates[broker, CELERY], strict=True)]
        table.rows.append([broker, name, spread(values), spread(ratios, "{:.2f}")])
    return table
