"""Signals that wake a task, and a FanOut of a thousand children: spawned, rung and joined."""

import time
from statistics import median

from agent_tasks import TaskHandle
from agent_tasks.doorbell.lists import OURS
from benchmarks.deployment import Deployment, deployment, until
from benchmarks.tables import Table, at_most, spread

SIGNALS, CHILDREN, ROUNDS = 200, 1_000, 5
_SPAWNED = "SELECT EXISTS (SELECT FROM agent_tasks.tasks WHERE parent_id = %s)"


def run(quick: bool) -> list[Table]:
    rounds = 1 if quick else ROUNDS
    signals = Table("Signals", note="One after the other, on an idle worker with threads 8.")
    fan_out = Table(
        f"A FanOut of {CHILDREN:,} children",
        note=f"Rounds: {rounds}. From the moment the step returns. Children are of another queue, which a second "
        "worker takes from for the last row only: that is the time from submit to end of the parent, less the time "
        "that as many tasks without a parent take.",
    )
    with deployment() as made, made.worker():
        seconds = [_signal(made) for _ in range(SIGNALS // 10 if quick else SIGNALS)]
        signals.check_times("signal() called to step running", seconds, p50=at_most(15, "ms"))
        spawned, rung = zip(*(_spawn(made) for _ in range(rounds)), strict=True)
        fan_out.check("committed", at_most(150, "ms"), median(spawned), f"{spread(spawned, '{:.0f}')} ms")
        fan_out.check("all rung", at_most(500, "ms"), median(rung), f"{spread(rung, '{:.0f}')} ms")
        with made.worker(queue="leaves"):
            added = [_joined(made) for _ in range(rounds)]
        shown = f"{spread(added, '{:.2f}')} ms"
        fan_out.check("added work of the join, per child", at_most(1, "ms"), median(added), shown)
    return [signals, fan_out]


def _signal(made: Deployment) -> float:
    task = made.client.submit("gate")
    until(lambda: task.stored().status == "waiting", "the task waits for its signal")
    start = time.time()
    task.signal("open")
    return task.result(timeout=10) - start


def _spawn(made: Deployment) -> tuple[float, float]:
    """Milliseconds until the children are committed, and until the last of them was rung."""
    keys = OURS.of("leaves")
    for key in keys:
        made.client.redis.delete(key)
    task = made.client.submit("branch", {"count": CHILDREN})
    until(lambda: made.value(_SPAWNED, [task.id]), "the children are committed", every=0.001)
    committed = time.time()
    until(lambda: sum(made.client.redis.llen(key) for key in keys) >= CHILDREN, "all children are rung", every=0.001)
    rung = time.time()
    returned = made.value(
        "SELECT (state ->> 'spawned')::float8 FROM agent_tasks.checkpoints WHERE task_id = %s", [task.id]
    )
    task.cancel()
    return (committed - returned) * 1000, (rung - returned) * 1000


def _joined(made: Deployment) -> float:
    """Milliseconds per child."""
    start = time.perf_counter()
    alone: list[TaskHandle] = made.client.submit_many("leaf", [None] * CHILDREN)
    made.until_idle()
    without = time.perf_counter() - start
    assert alone[-1].snapshot().status == "completed"
    start = time.perf_counter()
    made.client.submit("branch", {"count": CHILDREN}).result(timeout=120)
    return (time.perf_counter() - start - without) / CHILDREN * 1000
