"""A thousand async steps that wait for a server, at once in one worker process, and four thousand calls of a second."""

import time

from agent_tasks import Budget
from benchmarks.deployment import Deployment, deployment, until
from benchmarks.tables import Table, at_most
from benchmarks.upstream import Upstream
from benchmarks.usage import resident_megabytes

HELD, HOLD_SECONDS, DEADLINE_SECONDS, CANCELLED = 1_000, 35.0, 10.0, 20
CALLS, CALL_SECONDS = 4_000, 1.0
_LOST = "SELECT count(*) FROM agent_tasks.tasks WHERE agent = 'hold' AND (attempt > 1 OR run > 1 OR crashes > 0)"
_KEPT = (
    "SELECT count(*) FROM agent_tasks.tasks WHERE agent = 'hold' AND status = 'running' AND due_at > clock_timestamp()"
)
_ENDED = "SELECT count(*) FROM agent_tasks.tasks WHERE agent = 'hold' AND status = %s"

_LATE = (
    "SELECT extract(epoch FROM finished_at - claimed_at)::float8 - %s FROM agent_tasks.tasks WHERE id = %s "
    "AND status = 'timeout'"
)


def run(quick: bool) -> list[Table]:
    seconds = HOLD_SECONDS / 2 if quick else HOLD_SECONDS
    with deployment() as made, made.sweeping():
        held = Table(
            f"{HELD:,} async steps that wait for a server, in one worker process",
            note=f"Threads 8 and the settings' defaults: a lease of {made.settings.lease_seconds:g} s, held for "
            f"{seconds:g} s while the sweeper looks for expired ones. Each step holds a connection to the server, "
            "which sees when a step that is stopped hangs up.",
        )
        with made.worker() as worker, Upstream() as upstream:
            _hold(made, worker.pid, upstream, seconds, held)
        calls = Table(
            "Calls that take a second", note="ctx.call(asyncio.sleep, 1), one step a task; from submit to end."
        )
        with made.worker():
            start = time.perf_counter()
            made.client.submit_many("pause", [{"seconds": CALL_SECONDS}] * CALLS)
            made.until_idle()
            took = time.perf_counter() - start
            calls.check(f"{CALLS:,} of them on one process", at_most(10, "s"), took, f"{took:.1f} s")
    return [held, calls]


def _hold(made: Deployment, pid: int, upstream: Upstream, seconds: float, table: Table) -> None:
    client = made.client
    tasks = client.submit_many("hold", [{"port": upstream.port}] * (HELD - 1))
    limited = client.submit("hold", {"port": upstream.port}, budget=Budget(seconds=DEADLINE_SECONDS))
    taken = until(lambda: len(upstream.held) == HELD, f"the server holds {HELD} clients", seconds=60)
    table.check("all are held after", None, taken, f"{taken:.1f} s")
    start, memory = time.perf_counter(), resident_megabytes(pid)
    until(lambda: str(limited.id) not in upstream.held, "the step past its deadline hangs up")
    limited.wait(timeout=30)
    late = made.value(_LATE, [DEADLINE_SECONDS, limited.id])
    table.check("late to end as `timeout` by its deadline", at_most(1, "s"), late, f"{late:.2f} s")
    stopped = []
    for task in tasks[:CANCELLED]:
        begun = time.perf_counter()
        task.cancel()
        until(lambda task=task: str(task.id) not in upstream.held, "the cancelled step hangs up", every=0.002)
        stopped.append(time.perf_counter() - begun)
    table.check_times("cancel() called to the step's end", stopped, p99=at_most(1000, "ms"))
    left = HELD - 1 - CANCELLED
    until(lambda: time.perf_counter() - start > seconds, "the time is over", seconds=seconds + 1, every=0.2)
    lost = made.value(_LOST) + left - made.value(_KEPT) + left - len(upstream.held)
    table.check("leases lost, or steps run again", at_most(0, ""), lost, f"{lost} of {left}")
    memory = max(memory, resident_megabytes(pid))
    table.check("memory of the worker, at most", at_most(400, "MB"), memory, f"{memory:.0f} MB")
    upstream.answer()
    done = until(lambda: made.value(_ENDED, ["completed"]) == left, "the others complete", seconds=60)
    table.check("all others complete, once answered, within", None, done, f"{done:.1f} s")
