"""Whether cost grows with the tables: the same work on empty ones and on full ones, in turn."""

import time
from statistics import median

from agent_tasks.sweeps.sweeper import Sweeper
from benchmarks import filling
from benchmarks.deployment import Deployment, deployment
from benchmarks.plots import lines
from benchmarks.tables import Table, at_least, at_most, percentile, spread

SIZES = ((100_000, 10_000), (1_000_000, 100_000))
"""Finished and waiting tasks."""
TASKS, STEPS, RUNS, SUBMITS, ROUNDS, TICKS, DUE = 300, 10, 3, 200, 3, 30, 10_000
_MAKE_DUE = """
    UPDATE agent_tasks.tasks SET due_at = now() WHERE id IN (SELECT id FROM agent_tasks.tasks
        WHERE status = 'waiting' LIMIT %s)
"""
_CLEAR = "TRUNCATE agent_tasks.tasks CASCADE"


def run(quick: bool) -> list[Table]:
    sizes, rounds = (SIZES[:1], 1) if quick else (SIZES, ROUNDS)
    rates: dict[int, list[float]] = {}
    submits: dict[int, list[float]] = {}
    filled = (0, 0)
    with deployment() as empty, empty.beside("filled") as full:
        for finished, waiting in sizes:
            filling.finish(full, finished - filled[0])
            filling.park(full, waiting - filled[1])
            filled = (finished, waiting)
            rates[finished], submits[finished] = _compare(empty, full, rounds)
        sweeps = _sweeps(full, filled)
    return [_table(rates, submits, filled), sweeps]


def _compare(empty: Deployment, full: Deployment, rounds: int) -> tuple[list[float], list[float]]:
    """What steps/s and submit's p50 on the full tables are to those on the empty ones, by round."""
    rates, submits = [], []
    for number in range(rounds):
        measured: dict[Deployment, tuple[float, float]] = {}
        for made in (empty, full) if number % 2 else (full, empty):
            with made.worker("prefork", 2):
                measured[made] = _rate(made), _submit(made)
        with empty.client.database.connection() as connection:
            connection.execute(_CLEAR)
        rates.append(measured[full][0] / measured[empty][0])
        submits.append(measured[full][1] / measured[empty][1])
    return rates, submits


def _rate(made: Deployment) -> float:
    """Steps per second, the median of some runs in one worker."""
    rates = []
    for _ in range(RUNS):
        start = time.perf_counter()
        made.client.submit_many("loop", [{"steps": STEPS}] * TASKS)
        made.until_idle()
        rates.append(TASKS * STEPS / (time.perf_counter() - start))
    return median(rates)


def _submit(made: Deployment) -> float:
    """The median of submit(), each on an idle worker."""
    seconds = []
    for _ in range(SUBMITS):
        start = time.perf_counter()
        task = made.client.submit("clock")
        seconds.append(time.perf_counter() - start)
        task.wait(timeout=10)
    return median(seconds)


def _table(rates: dict[int, list[float]], submits: dict[int, list[float]], filled: tuple[int, int]) -> Table:
    table = Table(
        f"Full tables ({filled[0]:,} finished and {filled[1]:,} waiting tasks) against empty ones",
        note=f"Ratios by round, median (least to most): full to empty. A finished task has {filling.CHECKPOINTS} "
        f"checkpoints and {filling.EVENTS} events. Prefork 2; empty and full tables on one server, in turn.",
        plot=lines(
            "growth.svg",
            "Cost against the size of the tables, as a ratio to empty tables",
            [0, *rates],
            {
                "steps/s": [1, *(median(values) for values in rates.values())],
                "submit(), p50": [1, *(median(values) for values in submits.values())],
            },
            "finished tasks in the tables",
            upto=2,
        ),
    )
    for finished, values in rates.items():
        target = at_least(0.9, "×") if finished == filled[0] else None
        table.check(f"steps/s with {finished:,} finished", target, median(values), spread(values, "{:.2f}"))
    for finished, values in submits.items():
        target = at_most(1.2, "×") if finished == filled[0] else None
        table.check(f"submit(), p50, with {finished:,} finished", target, median(values), spread(values, "{:.2f}"))
    return table


def _sweeps(made: Deployment, filled: tuple[int, int]) -> Table:
    table = Table(
        "The fast sweep on full tables",
        note=f"{filled[0]:,} finished and {filled[1]:,} waiting tasks; one sweeper, within the benchmark's process.",
    )
    sweeper = Sweeper(made.client)
    sweeper.run("orphans")
    ticks = []
    for _ in range(TICKS):
        start = time.perf_counter()
        sweeper.run_due()
        ticks.append((time.perf_counter() - start) * 1000)
    shown = f"{spread(ticks, '{:.1f}')} ms"
    table.check("a tick with nothing due", at_most(20, "ms"), percentile(ticks, 0.5), shown)
    due = min(DUE, filled[1] // 2)
    with made.client.database.connection() as connection:
        connection.execute(_MAKE_DUE, [due])
    start = time.perf_counter()
    moved = sweeper.run_due()["timers"]
    rate = moved / (time.perf_counter() - start)
    if moved != due:
        raise TimeoutError(f"one tick dispatched {moved} of {due} due timers")
    table.check(f"dispatched, of {due:,} due at once", at_least(5_000, "tasks/s"), rate, f"{rate:,.0f} tasks/s")
    return table
