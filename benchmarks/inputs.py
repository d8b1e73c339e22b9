"""What a step and a task cost Postgres and Redis, measured on this machine: the inputs of the calculation of scale."""

from dataclasses import dataclass
from typing import Any

from agent_tasks.doorbell import mirror
from agent_tasks.transitions.purge import purge
from benchmarks import filling
from benchmarks.deployment import Deployment, deployment, until
from benchmarks.rivals import raw_psycopg
from benchmarks.usage import cpu_seconds

TASKS, STEPS, PARKED, PURGED = 400, 10, 10_000, 500
_TABLES = ("tasks", "checkpoints", "events")
_STATS = """
    SELECT sum(n_tup_upd)::float8 AS updates, sum(n_tup_hot_upd)::float8 AS hot, sum(n_tup_ins)::float8 AS inserts
    FROM pg_stat_user_tables
"""
_WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8"
_CLIENTS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"


@dataclass(frozen=True)
class Inputs:
    """Seconds are of one core, bytes as on disk or on the wire; a step is one that goes through the broker."""

    commits_per_second: float
    """Of one connection each in two processes, that do nothing else."""
    transactions: float
    postgres_seconds: float
    postgres_seconds_in_place: float
    redis_seconds: float
    worker_seconds: float
    wal_bytes: float
    redis_commands: float
    redis_bytes: float
    updates: float
    hot_updates: float
    inserts: float
    task_bytes: dict[str, float]
    """Of a finished task of ten steps, with its share of the indexes, by table."""
    parked_bytes: float
    """Of a waiting task after one step, in all tables."""
    mirrored_bytes: float
    wal_bytes_purged: float
    """Of deleting a finished task of ten steps."""


def measure(quick: bool) -> Inputs:
    tasks = TASKS // 4 if quick else TASKS
    with deployment() as made:
        in_place = _chains(made, tasks, quantum_seconds=0.1)
        before = _sizes(made)
        broker = _chains(made, tasks, quantum_seconds=0)
        grown = {name: (size - before[name]) / (tasks + 30) for name, size in _sizes(made).items()}
        parked = sum(_sizes(made).values())
        filling.park(made, PARKED)
        parked = (sum(_sizes(made).values()) - parked) / PARKED
        return Inputs(
            commits_per_second=raw_psycopg.measure(made, 2 * tasks, STEPS),
            postgres_seconds_in_place=in_place["postgres"],
            postgres_seconds=broker["postgres"],
            redis_seconds=broker["valkey"],
            worker_seconds=broker["worker"],
            transactions=broker["transactions"],
            wal_bytes=broker["wal"],
            redis_commands=broker["commands"],
            redis_bytes=broker["bytes"],
            updates=broker["updates"],
            hot_updates=broker["hot"],
            inserts=broker["inserts"],
            task_bytes=grown,
            parked_bytes=parked,
            mirrored_bytes=_mirrored(made),
            wal_bytes_purged=_purged(made),
        )


def _chains(made: Deployment, tasks: int, **settings: Any) -> dict[str, float]:
    """What a step of chains of steps that do nothing uses, by counters of the servers and of the system."""
    with made.worker("prefork", 2, **settings) as worker:
        _checkpoint(made)
        before, used = _counters(made), cpu_seconds(worker.pid)
        made.client.submit_many("loop", [{"steps": STEPS}] * tasks)
        made.until_idle()
        used = cpu_seconds(worker.pid) - used
    ours = made.client.database.pool
    until(
        lambda: made.value(_CLIENTS) <= ours.get_stats()["pool_size"],
        "the worker's connections are closed, and their counts reported",
    )
    after = _counters(made)
    per_step = {name: (value - before[name]) / (tasks * STEPS) for name, value in after.items()}
    return {**per_step, "worker": used / (tasks * STEPS)}


def _checkpoint(made: Deployment) -> None:
    """So that every measurement begins alike: the first write to a page after one logs the whole page."""
    with made.client.database.connection() as connection:
        connection.execute("CHECKPOINT")


def _counters(made: Deployment) -> dict[str, float]:
    with made.client.database.connection() as connection:
        row = connection.execute(_STATS).fetchone()
    assert row is not None
    info = made.client.redis.info()
    return {
        **row,
        "transactions": float(made.value("SELECT sum(xact_commit) FROM pg_stat_database")),
        "wal": made.value(_WAL),
        "postgres": cpu_seconds(made.servers.postgres.pid),
        "valkey": cpu_seconds(made.servers.valkey.pid),
        "commands": float(info["total_commands_processed"]),
        "bytes": float(info["total_net_input_bytes"] + info["total_net_output_bytes"]),
    }


def _sizes(made: Deployment) -> dict[str, float]:
    sizes = {
        name: made.value("SELECT pg_total_relation_size(%s::regclass)", [f"agent_tasks.{name}"]) for name in _TABLES
    }
    return {name: float(size) for name, size in sizes.items()}


def _mirrored(made: Deployment) -> float:
    task = made.value(
        "SELECT id FROM agent_tasks.tasks WHERE agent = 'loop' AND status = 'completed' ORDER BY id DESC LIMIT 1"
    )
    return float(made.client.redis.memory_usage(mirror.key(task)) or 0)


def _purged(made: Deployment) -> float:
    _checkpoint(made)
    before = made.value(_WAL)
    with made.client.database.connection() as connection:
        count = purge(connection, limit=PURGED, seconds=0).total()
    return (made.value(_WAL) - before) / count
