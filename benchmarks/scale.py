"""What one Postgres and one Redis carry, what gives first, and how it goes on: calculated from measured costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import inputs
from benchmarks.inputs import STEPS, Inputs
from benchmarks.routing import TENANTS, log_normal_tenants, simulate
from benchmarks.tables import Table

DAY = 86_400
USED = 0.6
"""How much of a processor may be planned for; the rest is for peaks, vacuum, backups and what is asked by people."""
LOADS = (100, 1_000, 10_000)
"""Tasks per second for which shards are counted."""


@dataclass(frozen=True)
class Machine:
    """What a server is assumed to have; Redis runs commands on one core."""

    name: str
    cores: int
    disk_bytes: float
    wal_bytes_per_second: float
    redis_memory: float


MACHINES = (
    Machine("2 cores, 0.1 TB, 50 MB/s of WAL, Redis 4 GB", 2, 0.1e12, 50e6, 4e9),
    Machine("16 cores, 2 TB, 200 MB/s of WAL, Redis 32 GB", 16, 2e12, 200e6, 32e9),
    Machine("64 cores, 16 TB, 500 MB/s of WAL, Redis 128 GB", 64, 16e12, 500e6, 128e9),
)
RETENTION_DAYS = (7, 1)


def run(quick: bool) -> list[Table]:
    """Also writes benchmarks/scale.md, unless quick."""
    measured = inputs.measure(quick)
    sections = {
        "measured": [_inputs(measured)],
        "carries": [_storage(measured), *(_bounds(measured, days) for days in RETENTION_DAYS)],
        "waiting": [_waiting(measured)],
        "partitions": [_partitions(measured)],
        "shards": [_spread(), _shards(measured)],
    }
    if not quick:
        head = f"# Scale\n\nMade by `python -m benchmarks scale` on {datetime.now(UTC):%Y-%m-%d}.\n\n"
        texts = {name: "\n\n".join(table.markdown("####") for table in tables) for name, tables in sections.items()}
        template = (Path(__file__).parent / "scale.in.md").read_text()
        (Path(__file__).parent / "scale.md").write_text(head + template.format(**texts))
    return [table for tables in sections.values() for table in tables]


def bounds(measured: Inputs, machine: Machine, days: float) -> dict[str, float]:
    """The tasks of ten steps per second at which each resource is used up, kept for so many days."""
    kept = sum(measured.task_bytes.values())
    return {
        "Postgres, processors": USED * machine.cores / (measured.postgres_seconds * STEPS),
        "Postgres, WAL": machine.wal_bytes_per_second / (measured.wal_bytes * STEPS + measured.wal_bytes_purged),
        "Postgres, disk": 0.8 * machine.disk_bytes / (kept * days * DAY),
        "Redis, its one processor": USED / (measured.redis_seconds * STEPS),
        "Redis, memory": 0.8 * machine.redis_memory / (measured.mirrored_bytes * 3_600),
    }


def _inputs(measured: Inputs) -> Table:
    table = Table("Measured", ["of a step through the broker", "measured"])
    m = measured
    hot = m.hot_updates / m.updates if m.updates else 0.0
    table.rows += [
        [
            "processor of Postgres (in place)",
            f"{m.postgres_seconds * 1e6:,.0f} µs ({_us(m.postgres_seconds_in_place)})",
        ],
        ["processor of Redis", _us(m.redis_seconds)],
        ["processor of workers", _us(m.worker_seconds)],
        ["transactions", f"{m.transactions:.1f}"],
        ["WAL", f"{m.wal_bytes:,.0f} bytes"],
        ["rows inserted", f"{m.inserts:.1f}"],
        ["rows updated, of them without touching an index (HOT)", f"{m.updates:.1f}, {hot * 100:.0f} %"],
        ["commands of Redis", f"{m.redis_commands:.1f}"],
        ["bytes to and from Redis", f"{m.redis_bytes:,.0f}"],
        ["commits/s of two connections that do nothing else", f"{m.commits_per_second:,.0f}"],
    ]
    return table


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} µs"


def _storage(measured: Inputs) -> Table:
    table = Table(f"Storage of a finished task of {STEPS} steps", ["what", "bytes", "per day at 100 tasks/s"])
    rows = {**measured.task_bytes, "all": sum(measured.task_bytes.values())}
    rows["WAL, written once"] = measured.wal_bytes * STEPS
    rows["WAL of deleting it"] = measured.wal_bytes_purged
    for name, size in rows.items():
        table.rows.append([name, f"{size:,.0f}", f"{size * 100 * DAY / 1e9:,.1f} GB"])
    table.rows.append(["its mirror in Redis, for an hour", f"{measured.mirrored_bytes:,.0f}", ""])
    return table


def _bounds(measured: Inputs, days: float) -> Table:
    found = [bounds(measured, machine, days) for machine in MACHINES]
    table = Table(
        f"Tasks/s of {STEPS} steps at which each is used up, finished tasks kept for {days} d",
        ["resource", *(machine.name for machine in MACHINES)],
    )
    for resource in found[0]:
        table.rows.append([resource, *(f"{each[resource]:,.0f}" for each in found)])
    table.rows.append(["gives first", *(min(each, key=lambda name, each=each: each[name]) for each in found)])
    return table


def _waiting(measured: Inputs) -> Table:
    table = Table("Waiting tasks", ["waiting tasks", "storage", "woken per second, if spread over 30 days"])
    for count in (100_000, 1_000_000, 10_000_000, 100_000_000):
        table.rows.append(
            [f"{count:,}", f"{count * measured.parked_bytes / 1e9:,.1f} GB", f"{count / (30 * DAY):,.2f}"]
        )
    return table


def _partitions(measured: Inputs) -> Table:
    """What deleting by row costs, which dropping a partition does not."""
    rows = measured.inserts * STEPS
    table = Table("Retention by deleting rows", ["tasks/s", "rows deleted per second", "WAL of it", "part of all WAL"])
    for rate in LOADS:
        wal = rate * measured.wal_bytes_purged
        part = measured.wal_bytes_purged / (measured.wal_bytes_purged + measured.wal_bytes * STEPS)
        table.rows.append([f"{rate:,}", f"{rate * rows:,.0f}", f"{wal / 1e6:,.1f} MB/s", f"{part * 100:.0f} %"])
    return table


def _spread() -> Table:
    table = Table(
        f"{TENANTS:,} tenants of log-normal load, by rendezvous hashing",
        ["sigma", "shards", "fullest shard, of the mean", "with heavy tenants placed", "how many", "heaviest", "moved"],
        note="Heavy are those above a tenth of a shard. Moved: the part of all load, where one shard is added.",
    )
    for sigma in (1.0, 2.0):
        loads = log_normal_tenants(sigma)
        for count in (4, 16, 64):
            spread = simulate(loads, count)
            evenness = [f"{spread.fullest:.2f}", f"{spread.fullest_pinned:.2f}", f"{spread.pinned}"]
            moved = f"{spread.moved * 100:.0f} % (1/{count + 1})"
            table.rows.append([f"{sigma:g}", f"{count}", *evenness, f"{spread.heaviest:.2f}", moved])
    return table


def _shards(measured: Inputs) -> Table:
    table = Table(
        "Shards for a load, finished tasks kept for a day, the fullest shard a quarter above the mean",
        ["tasks/s", *(machine.name for machine in MACHINES)],
    )
    carried = [min(bounds(measured, machine, 1).values()) for machine in MACHINES]
    for rate in LOADS:
        table.rows.append([f"{rate:,}", *_counts(rate, carried)])
    return table


def _counts(rate: float, carried: Sequence[float]) -> list[str]:
    return [f"{max(1, -(-rate * 1.25 // each)):,.0f}" for each in carried]
