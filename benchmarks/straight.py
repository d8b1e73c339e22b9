"""Straight-line steps: what a wait within a step costs beside one between steps, and what many of them hold."""

import time
from collections.abc import Iterable
from statistics import median

from benchmarks.deployment import Deployment, deployment, until
from benchmarks.tables import Table, at_most, spread
from benchmarks.usage import cpu_seconds, resident_megabytes

TASKS, ROUNDS = 1_000, 9
WAITS = 200
PARKED, WARMED = 10_000, 3_000
_IN_STATUS = "SELECT count(*) FROM agent_tasks.tasks WHERE agent = %s AND status = %s"
_CONNECTED = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
# From each signal to when the step was parked again, by the clock of the database.
_WENT_ON = """
    SELECT extract(epoch FROM parked.at - signalled.at)::float8 AS seconds
    FROM agent_tasks.events AS signalled, LATERAL (
        SELECT at FROM agent_tasks.events
        WHERE task_id = signalled.task_id AND seq > signalled.seq AND type IN ('waiting', 'finished')
        ORDER BY seq LIMIT 1
    ) AS parked
    WHERE signalled.task_id = %s AND signalled.type = 'signalled' ORDER BY signalled.seq
"""


def run(quick: bool) -> list[Table]:
    rounds = 3 if quick else ROUNDS
    with deployment() as made, made.worker() as worker:
        pairs = Table(
            "A wait within a step, beside the directive form",
            note=f"{TASKS:,} tasks, each submitted, parked and woken by a signal; rounds: {rounds}, in pairs that take "
            "turns in going first. CPU time is that of the worker and the servers, the client's is left out.",
        )
        _compare(made, worker.pid, rounds, pairs)
        loop = Table(
            f"A loop of {WAITS} waits and {WAITS} recorded calls in one step",
            note="From each signal until the step is parked again, by the clock of the database: the step runs again "
            "from its beginning, and gets what came before from the ledger.",
        )
        _go_round(made, loop)
        parked = Table(
            f"{PARKED:,} parked straight-line tasks",
            note=f"Against the same processes with {WARMED:,} such tasks, which were parked before to warm them up.",
        )
        _hold(made, worker.pid, parked)
    return [pairs, loop, parked]


def _compare(made: Deployment, pid: int, rounds: int, table: Table) -> None:
    pids = (pid, made.servers.postgres.pid, made.servers.valkey.pid)
    used: dict[str, list[tuple[float, float, float]]] = {"gate": [], "straight_gate": []}
    for agent in used:
        _park_and_wake(made, pids, agent)
    for round_ in range(rounds):
        for agent in sorted(used, reverse=round_ % 2 == 1):
            used[agent].append(_park_and_wake(made, pids, agent))
    for place, what, target in (
        (0, "CPU time", at_most(1.3, "x")),
        (1, "submitted until parked", None),
        (2, "signalled until ended", None),
    ):
        ratios = [mine[place] / theirs[place] for mine, theirs in zip(used["straight_gate"], used["gate"], strict=True)]
        each = " and ".join(
            f"{median(row[place] for row in used[agent]) / TASKS * 1000:.2f}" for agent in sorted(used, reverse=True)
        )
        table.check(what, target, median(ratios), f"{spread(ratios, '{:.2f}')} x ({each} ms a task)")


def _park_and_wake(made: Deployment, pids: Iterable[int | None], agent: str) -> tuple[float, float, float]:
    """Seconds of CPU, until all were parked, and until all had ended."""
    before, ended = sum(map(cpu_seconds, pids)), made.value(_IN_STATUS, [agent, "completed"])
    start = time.perf_counter()
    tasks = made.client.submit_many(agent, [None] * TASKS)
    until(lambda: made.value(_IN_STATUS, [agent, "waiting"]) == TASKS, "all tasks are parked", every=0.02)
    parked = time.perf_counter()
    for task in tasks:
        task.signal("open")
    until(lambda: made.value(_IN_STATUS, [agent, "completed"]) - ended == TASKS, "all tasks have ended", every=0.02)
    over = time.perf_counter()
    return sum(map(cpu_seconds, pids)) - before, parked - start, over - parked


def _go_round(made: Deployment, table: Table) -> None:
    task = made.client.submit("straight_loop", {"rounds": WAITS})
    for _ in range(WAITS):
        until(lambda: task.stored().status == "waiting", "the step is parked", every=0.002)
        task.signal("open")
    assert task.result(timeout=30) == list(range(WAITS))
    with made.client.database.connection() as connection:
        seconds = [row["seconds"] for row in connection.execute(_WENT_ON, [task.id]).fetchall()]
    table.check_times("goes on", seconds, p50=at_most(50, "ms"), p99=at_most(50, "ms"))
    last = seconds[-WAITS // 10 :]
    table.check_times(f"the last {len(last)} of them", last, p50=at_most(50, "ms"))


def _hold(made: Deployment, pid: int, table: Table) -> None:
    waiting = made.value(_IN_STATUS, ["straight_gate", "waiting"])
    _park(made, waiting + WARMED)
    memory, connected = resident_megabytes(pid), made.value(_CONNECTED)
    _park(made, waiting + WARMED + PARKED)
    more = resident_megabytes(pid) - memory
    table.check("memory more, of the worker", at_most(5, "MB"), more, f"{more:.1f} MB (of {memory:.0f} MB)")
    connections = made.value(_CONNECTED) - connected
    table.check("connections of Postgres more", at_most(0, ""), connections, f"{connections} (of {connected})")


def _park(made: Deployment, count: int) -> None:
    """Submit tasks until so many are parked."""
    missing = count - made.value(_IN_STATUS, ["straight_gate", "waiting"])
    made.client.submit_many("straight_gate", [None] * missing)
    until(lambda: made.value(_IN_STATUS, ["straight_gate", "waiting"]) == count, f"{count:,} are parked", every=0.1)
