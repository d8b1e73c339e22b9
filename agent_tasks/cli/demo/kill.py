"""Killing the worker that runs a task, in the middle of it."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from agent_tasks import mirror
from agent_tasks.cli.demo.stage import pid_of
from agent_tasks.handle import TaskHandle
from agent_tasks.snapshots import TaskSnapshot
from agent_tasks.states import TaskStatus
from agent_tasks.transitions import read

FEW_STEPS = 40
"""Of a run with so little to do the first step after a commit is the middle."""
MIDDLE, LATE = 0.4, 0.7
CALLS = 3
"""Recorded in the step that is cut off, so that there is something to take from the ledger."""
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Kill:
    worker: str
    step: str
    step_number: int
    """Which is also how many steps were committed."""
    at: float
    """Monotonic."""


def changes(task: TaskHandle) -> Iterator[TaskSnapshot]:
    """The task at each change, and every tenth of a second, to its end."""
    changed = threading.Event()
    with task.client.notices.listening(mirror.key(task.id), lambda _: changed.set()):
        while True:
            snapshot = task.snapshot()
            yield snapshot
            if snapshot.status.is_terminal:
                return
            changed.wait(_LOOK_SECONDS)
            changed.clear()


def try_to_kill(task: TaskHandle, seen: TaskSnapshot) -> Kill | None:
    """Kill the worker that runs the task, if this is the middle of it; None if it is not, or no more.

    It is stopped first, to look whether it still runs this step: nobody else is hit, and the step is cut off.
    """
    if seen.worker is None or not _is_the_middle(seen) or not _calls_suffice(task, seen):
        return None
    pid = pid_of(seen.worker)
    os.kill(pid, signal.SIGSTOP)
    held = task.stored()
    now = (held.status, held.worker, held.step_number)
    if now != (TaskStatus.RUNNING, seen.worker, seen.step_number):
        os.kill(pid, signal.SIGCONT)
        return None
    os.kill(pid, signal.SIGKILL)
    return Kill(seen.worker, held.step, held.step_number, time.monotonic())


def _is_the_middle(task: TaskSnapshot) -> bool:
    if task.status is not TaskStatus.RUNNING or task.step_number < 1:
        return False
    return _share_done(task) >= MIDDLE


def _share_done(task: TaskSnapshot) -> float:
    """1 where there is little to do or nobody knows how much: then it is not too early."""
    progress = task.progress
    if progress is None or not progress.total or progress.total <= FEW_STEPS:
        return 1.0
    return progress.done / progress.total


def _calls_suffice(task: TaskHandle, seen: TaskSnapshot) -> bool:
    """Wait for some recorded calls of this step; False when it is over before."""
    if _share_done(seen) >= LATE:
        return True
    while True:
        with task.client.database.connection() as connection:
            if read.recorded_calls(connection, task.id, seen.step_number) >= CALLS:
                return True
        now = task.snapshot()
        if now.step_number != seen.step_number or now.status is not TaskStatus.RUNNING:
            return False
