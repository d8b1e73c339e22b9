"""Killing the worker that runs a reader, in the middle of its work."""

import os
import signal
import time
from dataclasses import dataclass

from agent_tasks.cli.demo.tree import READER, Tree, pid_of
from agent_tasks.client.handle import TaskHandle
from agent_tasks.store.queries import read
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus

FEW_DOCUMENTS = 40
"""A run with so few documents has no better middle: any moment will do."""
MIDDLE, LATE = 0.35, 0.6
CALLS, DOCUMENTS_PER_CALL = 3, 12
"""How many recorded calls to wait for in the step to interrupt, fewer if documents are few; the ledger replays them."""


@dataclass(frozen=True)
class Kill:
    child: TaskSnapshot
    """The child before the kill: `step_number` is the number of its committed steps."""
    name: str
    calls: int
    """The number of calls recorded for the interrupted step."""
    others: list[str]
    """The other children that ran on the same worker."""
    worker: str
    at: float
    """The time of the kill, by the monotonic clock."""


def try_to_kill(task: TaskHandle, seen: Tree) -> Kill | None:
    """Kill the worker of a reader that is in the middle of its work; return None if there is none.

    The worker is stopped first, to check that it still runs this step: so nobody else is hit, and the step is
    interrupted. Its whole process group is killed.
    """
    if not any(_is_the_middle(seen, reader) for reader in seen.readers):
        return None
    for child in task.children():
        reader = child.stored()
        if reader.worker is None or not _is_the_middle(seen, reader) or not _calls_suffice(task, seen, reader):
            continue
        process_group = pid_of(reader.worker)  # each process is the leader of its own
        os.killpg(process_group, signal.SIGSTOP)
        last = signal.SIGCONT
        try:
            if _claim_of(child.stored()) == _claim_of(reader):
                kill = _described(task, seen, child.stored(), reader.worker)
                last = signal.SIGKILL
                return kill
        finally:
            os.killpg(process_group, last)
    return None


def _claim_of(task: TaskSnapshot) -> tuple[object, ...]:
    return task.status, task.worker, task.step_number, task.attempt


def _is_the_middle(seen: Tree, reader: TaskSnapshot) -> bool:
    if reader.agent != READER or reader.status is not TaskStatus.RUNNING or not seen.documents:
        return False
    share = seen.done / seen.documents
    return seen.documents <= FEW_DOCUMENTS or share >= LATE or (share >= MIDDLE and reader.step_number >= 1)


def _calls_suffice(task: TaskHandle, seen: Tree, reader: TaskSnapshot) -> bool:
    return _calls(task, reader) >= min(CALLS, seen.documents // DOCUMENTS_PER_CALL)


def _calls(task: TaskHandle, reader: TaskSnapshot) -> int:
    with task.deployment.database.connection() as connection:
        return read.recorded_calls(connection, reader.id, reader.step_number)


def _described(task: TaskHandle, seen: Tree, child: TaskSnapshot, worker: str) -> Kill:
    now = [other.stored() for other in task.children()]
    tree = Tree(seen.root, now)
    others = [tree.name(other) for other in now if other.worker == worker and other.id != child.id]
    return Kill(child, tree.name(child), _calls(task, child), others, worker, time.monotonic())
