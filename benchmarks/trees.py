"""Whole trees: how long it takes to cancel many children at once, and how fast retention deletes, beside work too."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from uuid import uuid4

from agent_tasks.transitions.purge import purge
from benchmarks import filling
from benchmarks.deployment import Deployment, deployment
from benchmarks.tables import Table, at_least, at_most, spread

CHILDREN, ROUNDS, KEPT = 10_000, 3, 300_000
DUE = KEPT // 6
"""Tasks that ended in the first of the six days over which `filling` spreads them."""
ENDED, STEP_DAYS = 6_000, 0.02
"""Tasks that workers end meanwhile; of the days of `filling`, what retention deletes between two looks at the time."""
_DAY = 86_400.0
_FAMILY = """
    WITH parent AS (
        INSERT INTO agent_tasks.tasks (id, agent, status, step, step_number, queue, root_id, lineage_id, ttl_seconds,
            input,
            waiting_for, children_left, event_seq)
        SELECT id, 'loop', 'waiting', 'spin', 1, 'agents', id, id, 900, '{"steps": 1}',
            jsonb_build_object('kind', 'children', 'since', now()), %(children)s, 1
        FROM (SELECT %(parent)s::uuid AS id) AS given RETURNING id
    )
    INSERT INTO agent_tasks.tasks (id, agent, status, step, queue, root_id, lineage_id, parent_id, parent_step,
        child_index, depth,
        ttl_seconds, input, due_at, event_seq)
    SELECT child, 'loop', 'pending', 'spin', 'agents', parent.id, child, parent.id, 0, n, 1, 900, '{"steps": 1}',
        now() + interval '1 day', 1
    FROM parent, (SELECT n, uuidv7() AS child FROM generate_series(1, %(children)s) AS n) AS children
"""


def run(quick: bool) -> list[Table]:
    with deployment() as made:
        return [_cancels(made, 1 if quick else ROUNDS), _retention(made), _retention_beside_work(made)]


def _cancels(made: Deployment, rounds: int) -> Table:
    table = Table(
        f"Cancel of a task with {CHILDREN:,} pending children",
        note="Without a worker. From the call until all are cancelled in Postgres, and shown so in Redis. The tables "
        "were empty before and have never been analyzed.",
    )
    seconds: list[float] = []
    for _ in range(rounds):
        parent = uuid4()
        with made.client.database.connection() as connection:
            for name in ("tasks", "events"):
                connection.execute(f"ALTER TABLE agent_tasks.{name} SET (autovacuum_enabled = false)")  # type: ignore[arg-type]
            connection.execute("TRUNCATE agent_tasks.tasks CASCADE")
            connection.execute(_FAMILY, {"parent": parent, "children": CHILDREN})
        start = time.perf_counter()
        made.client.get(parent).cancel()
        seconds.append(time.perf_counter() - start)
        if made.value("SELECT count(*) FROM agent_tasks.tasks WHERE status = 'cancelled'") != CHILDREN + 1:
            raise TimeoutError("the cancel left children that live")
    with made.client.database.connection() as connection:
        connection.execute("TRUNCATE agent_tasks.tasks CASCADE")
    table.check("cancel()", at_most(3, "s"), median(seconds), f"{spread(seconds, '{:.2f}')} s")
    return table


def _retention(made: Deployment) -> Table:
    table = Table(
        f"Retention of {DUE:,} among {KEPT:,} ended tasks",
        note=f"Each with {filling.CHECKPOINTS} checkpoints and {filling.EVENTS} events; one sweeper, within the "
        "benchmark's process.",
    )
    filling.finish(made, KEPT)
    start = time.perf_counter()
    with made.client.database.connection() as connection:
        purge(connection, limit=500, seconds=7 * _DAY)
    idle = (time.perf_counter() - start) * 1000
    table.check("the first look, with nothing to delete", None, idle, f"{idle:.1f} ms")
    start = time.perf_counter()
    with made.client.database.connection() as connection:
        purged = purge(connection, limit=500, seconds=5 * _DAY).total()
    rate = purged / (time.perf_counter() - start)
    if abs(purged - DUE) > DUE / 100:
        raise TimeoutError(f"retention deleted {purged:,} of {DUE:,} tasks")
    table.check("deleted", at_least(500, "tasks/s"), rate, f"{rate:,.0f} tasks/s")
    return table


def _retention_beside_work(made: Deployment) -> Table:
    """On what `_retention` has left."""
    table = Table(
        "Retention beside 2 workers that end tasks",
        note=f"{ENDED:,} tasks of one step each, without retention and beside it. All share the machine's cores.",
    )
    ended = threading.Event()

    def delete() -> float:
        """Tasks deleted per second until all have ended."""
        start, purged, days = time.perf_counter(), 0, 5.0
        while not ended.is_set() and days > 1:
            days -= STEP_DAYS
            with made.client.database.connection() as connection:
                purged += purge(connection, limit=500, seconds=days * _DAY).total()
        return purged / (time.perf_counter() - start)

    with made.worker(name="worker0"), made.worker(name="worker1"), ThreadPoolExecutor(1) as sweeper:
        alone = _ended_per_second(made)
        deleting = sweeper.submit(delete)
        try:
            beside = _ended_per_second(made)
        finally:
            ended.set()
        deleted = deleting.result()
    deadlocks = made.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    table.check("deleted", at_least(500, "tasks/s"), deleted, f"{deleted:,.0f} tasks/s")
    table.check("ended without retention", None, alone, f"{alone:,.0f} tasks/s")
    table.check("ended beside it", None, beside, f"{beside:,.0f} tasks/s")
    table.check("deadlocks", at_most(0, "in all"), deadlocks, str(deadlocks))
    return table


def _ended_per_second(made: Deployment) -> float:
    start = time.perf_counter()
    made.client.submit_many("loop", [{"steps": 1}] * ENDED)
    made.until_idle()
    return ENDED / (time.perf_counter() - start)
