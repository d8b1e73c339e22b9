"""The demo's task and its children as they are at one moment."""

from collections.abc import Iterator
from dataclasses import dataclass

from agent_tasks.client.following import follow
from agent_tasks.client.handle import TaskHandle
from agent_tasks.task.snapshot import TaskSnapshot

READER = "research-reader"
LAST_STEPS = 3
"""The steps that the root's total counts besides documents."""


@dataclass(frozen=True)
class Tree:
    root: TaskSnapshot
    children: list[TaskSnapshot]

    @property
    def readers(self) -> list[TaskSnapshot]:
        return [child for child in self.children if child.agent == READER]

    @property
    def readers_are_over(self) -> bool:
        return bool(self.readers) and all(reader.status.is_terminal for reader in self.readers)

    @property
    def total(self) -> float | None:
        return self.root.progress.total if self.root.progress else None

    @property
    def documents(self) -> float:
        """The number of documents; 0 until it is known."""
        return max(0, (self.total or 0) - LAST_STEPS)

    @property
    def done(self) -> float:
        """The number of documents that the readers have read, until the root has joined it."""
        read = sum(reader.progress.done for reader in self.readers if reader.progress)
        return max(read, self.root.progress.done if self.root.progress else 0)

    @property
    def waits_for_a_person(self) -> bool:
        return self.root.waiting_for is not None and self.root.waiting_for.kind == "signal"

    def name(self, child: TaskSnapshot) -> str:
        """Return the name of a child, such as reader 2 or analyst."""
        role = child.agent.removeprefix("research-")
        alike = [other.id for other in self.children if other.agent == child.agent]
        return f"{role} {alike.index(child.id) + 1}" if child.agent == READER else role

    def child(self, like: TaskSnapshot) -> TaskSnapshot:
        """Return the same child as it is now."""
        return next(child for child in self.children if child.id == like.id)


def look(task: TaskHandle) -> Tree:
    root = task.snapshot()
    return Tree(root, [child.snapshot() for child in task.children()])


def changes(task: TaskHandle, seconds: float) -> Iterator[Tree]:
    """Yield the tree at each change of the root, and every so many `seconds`, until the root ends."""
    for _ in follow(task, slowest=seconds):
        yield look(task)


def node_of(worker: str) -> str:
    """Return the node of a worker, whose name is node@host/pid."""
    return worker.partition("@")[0]


def pid_of(worker: str) -> int:
    return int(worker.rpartition("/")[2])
