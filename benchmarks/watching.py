"""Snapshots from the mirror, and how long after a task's end those who wait for it are told."""

import threading
import time

from agent_tasks import TaskSnapshot
from benchmarks.deployment import Deployment, deployment, until
from benchmarks.tables import Table, at_most

READS, WAITERS = 2_000, 200


def run(quick: bool) -> list[Table]:
    with deployment() as made, made.worker():
        reads, waiters = (READS // 10, WAITERS // 4) if quick else (READS, WAITERS)
        table = Table(
            "Watching tasks",
            note=f"{reads:,} reads; {waiters} threads of one process, each in wait() for a task of its own, which end "
            "one after the other. The commit's time is the row's finished_at, taken before Postgres writes to disk.",
        )
        task = made.client.submit("clock")
        task.wait(timeout=10)
        table.check_times("snapshot() from the mirror", _reads(task, reads), p50=at_most(0.5, "ms"))
        table.check_times("commit to wait() returning", _waits(made, waiters), p50=at_most(5, "ms"))
    return [table]


def _reads(task: object, times: int) -> list[float]:
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        task.snapshot()  # type: ignore[attr-defined]
        seconds.append(time.perf_counter() - start)
    return seconds


def _waits(made: Deployment, waiters: int) -> list[float]:
    tasks = made.client.submit_many("gate", [None] * waiters)
    parked = "SELECT count(*) FROM agent_tasks.tasks WHERE status = 'waiting'"
    until(lambda: made.value(parked) == waiters, "all tasks wait for their signal")
    returned: list[tuple[float, TaskSnapshot]] = []
    failed: list[Exception] = []

    def wait(index: int) -> None:
        try:
            snapshot = tasks[index].wait()
        except Exception as error:
            failed.append(error)
        else:
            returned.append((time.time(), snapshot))

    threads = [threading.Thread(target=wait, args=(index,), daemon=True) for index in range(waiters)]
    for thread in threads:
        thread.start()
    channels = made.client.redis
    until(lambda: len(channels.pubsub_channels("agent-tasks:task:*")) >= waiters, "all waiters listen")
    for index in range(waiters):
        made.client.get(tasks[index].id).signal("open")
        until(lambda index=index: len(returned) > index, "the waiter of a task that ended has returned", every=0.002)
    assert not failed, failed[0]
    return [at - snapshot.finished_at.timestamp() for at, snapshot in returned if snapshot.finished_at]
