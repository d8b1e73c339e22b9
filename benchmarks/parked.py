"""100,000 parked tasks: how late a timer fires among them, and what the system uses while nothing happens."""

import time
from pathlib import Path

from benchmarks import filling
from benchmarks.deployment import Deployment, deployment, until
from benchmarks.tables import Table, at_most
from benchmarks.usage import cpu_seconds

PARKED, ALARMS, IDLE_SECONDS = 100_000, 200, 30.0
_FIRED = "SELECT count(*) FROM agent_tasks.tasks WHERE agent = 'alarm' AND status = 'completed'"


def run(quick: bool) -> list[Table]:
    seconds, alarms = (10.0, ALARMS // 4) if quick else (IDLE_SECONDS, ALARMS)
    with deployment() as made, made.worker() as worker, made.sweeping() as (beat, sweeper):
        filling.park(made, PARKED)
        timers = Table(f"Timers among {PARKED:,} parked tasks", note=f"{alarms} timers, due within 5 s.")
        late = _lateness(made, alarms)
        timers.check_times("fired late by", late, p50=at_most(1000, "ms"), p99=at_most(1000, "ms"))
        processes = {"worker": worker.pid, "beat": beat.pid, "sweeper": sweeper.pid}
        return [timers, _idle(made, processes, seconds)]


def _lateness(made: Deployment, alarms: int) -> list[float]:
    tasks = made.client.submit_many("alarm", [{"seconds": 2 + 3 * n / alarms} for n in range(alarms)])
    until(lambda: made.value(_FIRED) == alarms, "all timers have fired", every=0.2)
    late = []
    for task in tasks:
        parked = next(event for event in task.events() if event.type == "waiting")
        late.append(task.result() - parked.at.timestamp() - parked.data["seconds"])
    return late


def _idle(made: Deployment, ours: dict[str, int], seconds: float) -> Table:
    table = Table(
        f"An idle system: worker, beat and sweeper, {PARKED:,} waiting tasks",
        note=f"CPU time over {seconds:g} s, of each process and all below it. Statements are counted in the log of "
        "Postgres over as long again, with log_statement = 'all': BEGIN and COMMIT count, and the wheel of Postgres "
        "that the embedded start uses has no pg_stat_statements.",
    )
    servers = {"Postgres": made.servers.postgres.pid, "Valkey": made.servers.valkey.pid}
    watched = {**ours, **servers}
    before = {name: cpu_seconds(pid) for name, pid in watched.items()}
    time.sleep(seconds)
    used = {name: (cpu_seconds(pid) - before[name]) / seconds * 100 for name, pid in watched.items()}
    total = sum(used[name] for name in ours)
    parts = ", ".join(f"{name} {used[name]:.1f}" for name in ours)
    table.check("its processes, of one core", at_most(2, "%"), total, f"{total:.1f} % ({parts})")
    served = sum(used[name] for name in servers)
    parts = ", ".join(f"{name} {used[name]:.1f}" for name in servers)
    table.check("its servers, of one core", None, served, f"{served:.1f} % ({parts})")
    rate = _statements(made, seconds) / seconds
    table.check("statements", at_most(20, "/s"), rate, f"{rate:.1f} /s")
    return table


def _statements(made: Deployment, seconds: float) -> int:
    """How many statements all clients send in so long a time."""
    log = Path(made.servers.data_dir) / "postgres.log"
    _set_log(made, "'all'")
    start = log.stat().st_size
    time.sleep(seconds)
    written = log.read_bytes()[start:].decode()
    _set_log(made, "'none'")
    return sum(" LOG:  statement: " in line or " LOG:  execute " in line for line in written.splitlines())


def _set_log(made: Deployment, value: str) -> None:
    with made.client.database.connection() as connection:
        connection.execute(f"ALTER SYSTEM SET log_statement = {value}")  # type: ignore[arg-type]
        connection.execute("SELECT pg_reload_conf()")
    until(lambda: made.value("SHOW log_statement") == value.strip("'"), "the setting of the log is in force")
