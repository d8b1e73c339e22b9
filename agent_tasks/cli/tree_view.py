"""The picture of a task's tree."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from uuid import UUID

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text
from rich.tree import Tree

from agent_tasks.cli.lines import fitted, packed
from agent_tasks.cli.text import (
    COLOURS,
    awaited,
    budget_reserved,
    call_costs,
    clock,
    duration,
    paused,
    progress_text,
    since,
    spent_parts,
    time_left,
)
from agent_tasks.client.tree import TreeNode
from agent_tasks.store.queries.calls import CostRow
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus

_DRAWN = ("tokens", "usd", "seconds")


def drawn(top: TreeNode, limit: int) -> list[UUID]:
    """Return the ids of the tasks that `tree_view` draws."""
    below = [drawn(child, limit) for _, child in _nearest(top.children, limit)]
    return [top.snapshot.id, *chain.from_iterable(below)]


def tree_view(
    top: TreeNode,
    limit: int,
    inputs: Mapping[UUID, str],
    costs: Mapping[UUID, Sequence[CostRow]] = MappingProxyType({}),
) -> Tree:
    """Draw at most `limit` children of each task: those that have not completed before those that have."""

    def branch(task: TaskSnapshot, number: int | None = None) -> _Branch:
        return _Branch(task, inputs.get(task.id), number, costs.get(task.id, ()))

    root = Tree(branch(top.snapshot), guide_style="dim", highlight=False)
    _grow(root, top.children, limit, branch)
    return root


def _grow(
    parent: Tree, children: Sequence[TreeNode], limit: int, branch: "Callable[[TaskSnapshot, int | None], _Branch]"
) -> None:
    chosen = _nearest(children, limit)
    for index, child in chosen:
        number = index if len(children) > 1 else None
        _grow(parent.add(branch(child.snapshot, number)), child.children, limit, branch)
    if len(chosen) < len(children):
        taken = {index for index, _ in chosen}
        rest = Counter(str(child.snapshot.status) for index, child in enumerate(children) if index not in taken)
        counted = ", ".join(f"{number} {status}" for status, number in rest.items())
        parent.add(Text(f"and {sum(rest.values())} more: {counted} (--limit draws more)", style="dim"))


def _nearest(children: Sequence[TreeNode], limit: int) -> list[tuple[int, TreeNode]]:
    """Return the children to draw, with their places among all."""
    ordered = sorted(enumerate(children), key=lambda found: found[1].snapshot.status is TaskStatus.COMPLETED)
    return sorted(ordered[:limit], key=lambda found: found[0])


class _Branch:
    """One task: a line with what it does, then its input, id, progress, spending and times."""

    def __init__(
        self, task: TaskSnapshot, input: str | None, number: int | None = None, costs: Sequence[CostRow] = ()
    ) -> None:
        self._task = task
        self._input = input
        self._number = number
        self._costs = costs

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield self._headline(width)
        if which := self._which():
            yield Text("  " + fitted(which, width - 2), style="dim", no_wrap=True)
        for line in packed(self._details(), width):
            yield Text(line, style="dim", no_wrap=True)

    def _headline(self, width: int) -> Text:
        task, name = self._task, f"{self._task.agent}.{self._task.step}"
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(fitted(name, width - 10), style="bold")
        line.append(f"  {task.status}", style=COLOURS[task.status])
        line.append(fitted(_doing(task), max(1, width - line.cell_len)))
        return line

    def _which(self) -> str:
        """Return what tells the task from its siblings."""
        number = "" if self._number is None else f"#{self._number} "
        return number + (self._input or "")

    def _details(self) -> list[str]:
        task, reserved = self._task, budget_reserved(self._task.budget, ", ")
        first, *others = spent_parts(task.budget, _DRAWN) or ["nothing"]
        return [
            str(task.id),
            f"submitted {clock(task.created_at)}",
            paused(task),
            task.unserved.message if task.unserved else "",
            progress_text(task.progress) if task.progress else "",
            f"spent {first}",
            *others,
            *call_costs(self._costs),
            f"reserved {reserved}" if reserved else "",
        ]


def _doing(task: TaskSnapshot) -> str:
    """Return the text that follows the status."""
    if task.waiting_for is not None:
        phrase = f" {duration(since(task.waiting_for.since))} for {awaited(task.waiting_for)}"
        return ", ".join(filter(None, [phrase, time_left(task.waiting_for)]))
    if task.finished_at is not None:
        took = f" after {duration((task.finished_at - task.created_at).total_seconds())}"
        return f"{took}, {task.error.type}: {task.error.message}" if task.error else took
    if task.worker is not None and task.claimed_at is not None:
        return f" {duration(since(task.claimed_at))} on {task.worker}"
    return f" on queue {task.queue}"
