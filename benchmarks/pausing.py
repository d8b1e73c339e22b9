"""What pauses cost: steps per second beside a paused queue full of tasks, and what these use while they are paused."""

import time
from statistics import median

from benchmarks.deployment import Deployment, deployment, until
from benchmarks.tables import Table, at_most, spread
from benchmarks.usage import cpu_seconds

PAUSED, PAIRS, TASKS, STEPS = 100_000, 10, 250, 8
IDLE_SECONDS = 30.0
_TOLD_SECONDS = 5.0
"""By when Postgres has counted what was written."""
_SWEPT = "SELECT EXISTS (SELECT FROM agent_tasks.watches)"
_CHUNK = 5_000
_ENDED = "SELECT count(*) FROM agent_tasks.tasks WHERE status = 'completed' AND finished_at >= %s"
_DUE = "UPDATE agent_tasks.tasks SET due_at = clock_timestamp() WHERE queue = 'held'"
_PUT_OFF = "SELECT count(*) FROM agent_tasks.tasks WHERE put_off_by IS NOT NULL AND finished_at IS NULL"
_WRITTEN = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relid = 'agent_tasks.tasks'::regclass"


def run(quick: bool) -> list[Table]:
    paused, pairs, seconds = (PAUSED // 20, 3, 10.0) if quick else (PAUSED, PAIRS, IDLE_SECONDS)
    with deployment() as made:
        steps = Table(
            "Steps beside a paused queue",
            note=f"{paused:,} pending tasks on another queue; {pairs} pairs, with that queue paused and with nothing "
            "paused, which take turns in going first.",
        )
        idle = Table(
            "A paused queue while it is paused",
            note=f"{paused:,} tasks that came due, were put off, and vacuumed; then over {seconds:g} s beat, a sweeper "
            "and the servers.",
        )
        with made.sweeping() as (beat, sweeper):
            until(lambda: made.value(_SWEPT), "the sweeps tick")
            pids = (beat.pid, sweeper.pid, made.servers.postgres.pid, made.servers.valkey.pid)
            empty = _used(pids, seconds)
            for _ in range(0, paused, _CHUNK):
                made.client.submit_many("loop", [{"steps": 1}] * _CHUNK, queue="held")
            made.client.pause(queue="held")
            with made.client.database.connection() as connection:
                connection.execute(_DUE)
            until(lambda: made.value(_PUT_OFF) == paused, "all are put off", seconds=600, every=0.5)
            with made.client.database.connection() as connection:
                connection.execute("VACUUM ANALYZE agent_tasks.tasks")
            _used(pids, _TOLD_SECONDS)
            before = made.value(_WRITTEN)
            used = _used(pids, seconds)
            idle.check("processor time, of one core", None, used, f"{used:.1f} % (without tasks: {empty:.1f})")
            written = made.value(_WRITTEN) - before
            idle.check("rows of tasks written", at_most(0, "rows"), written, f"{written} rows")
        made.client.resume_paused(queue="held")
        with made.worker():
            _compare(made, steps, "tasks of one step", TASKS * STEPS, 1, pairs)
            _compare(made, steps, f"tasks of {STEPS} steps", TASKS, STEPS, pairs)
    return [idle, steps]


def _used(pids: tuple[int | None, ...], seconds: float) -> float:
    """The processor time of these processes over so long a time, in percent of one core."""
    before = sum(map(cpu_seconds, pids))
    time.sleep(seconds)
    return 100 * (sum(map(cpu_seconds, pids)) - before) / seconds


def _compare(made: Deployment, table: Table, what: str, tasks: int, length: int, pairs: int) -> None:
    lost: list[float] = []
    for pair in range(pairs):
        seconds: dict[bool, float] = {}
        for is_paused in (True, False) if pair % 2 else (False, True):
            if is_paused:
                made.client.pause(queue="held")
            since, start = made.value("SELECT clock_timestamp()"), time.perf_counter()
            made.client.submit_many("loop", [{"steps": length}] * tasks)
            until(lambda since=since: made.value(_ENDED, [since]) == tasks, "all have ended")
            seconds[is_paused] = time.perf_counter() - start
            if is_paused:
                made.client.resume_paused(queue="held")
        lost.append(100 * (1 - seconds[False] / seconds[True]))
    table.check(f"{what}: steps/s lost", at_most(3, "%"), median(lost), f"{spread(lost, '{:.1f}')} %")
