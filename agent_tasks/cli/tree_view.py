"""The picture of a task's tree."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text
from rich.tree import Tree

from agent_tasks.cli.lines import fitted, packed
from agent_tasks.cli.text import (
    COLOURS,
    awaited,
    budget_reserved,
    clock,
    duration,
    progress_text,
    since,
    spent_parts,
    time_left,
)
from agent_tasks.handle import TreeNode
from agent_tasks.snapshots import TaskSnapshot
from agent_tasks.states import TaskStatus

_DRAWN = ("tokens", "usd", "seconds")


def tree_view(top: TreeNode, limit: int) -> Tree:
    """At most `limit` children of each task are drawn: those that have not completed before those that have."""
    drawn = Tree(_Branch(top.snapshot), guide_style="dim", highlight=False)
    _grow(drawn, top.children, limit)
    return drawn


def _grow(parent: Tree, children: Sequence[TreeNode], limit: int) -> None:
    nearest = sorted(children, key=lambda child: child.snapshot.status is TaskStatus.COMPLETED)[:limit]
    chosen = {child.snapshot.id for child in nearest}
    for child in children:
        if child.snapshot.id in chosen:
            _grow(parent.add(_Branch(child.snapshot)), child.children, limit)
    if len(chosen) < len(children):
        rest = Counter(str(child.snapshot.status) for child in children if child.snapshot.id not in chosen)
        counted = ", ".join(f"{number} {status}" for status, number in rest.items())
        parent.add(Text(f"and {sum(rest.values())} more: {counted} (--limit draws more)", style="dim"))


class _Branch:
    """One task: a line of what it does, then its id, its progress, what it has spent and its times."""

    def __init__(self, task: TaskSnapshot) -> None:
        self._task = task

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield self._headline(width)
        for line in packed(self._details(), width):
            yield Text(line, style="dim", no_wrap=True)

    def _headline(self, width: int) -> Text:
        task, name = self._task, f"{self._task.agent}.{self._task.step}"
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(fitted(name, width - 10), style="bold")
        line.append(f"  {task.status}", style=COLOURS[task.status])
        line.append(fitted(_doing(task), max(1, width - line.cell_len)))
        return line

    def _details(self) -> list[str]:
        task, reserved = self._task, budget_reserved(self._task.budget, ", ")
        first, *others = spent_parts(task.budget, _DRAWN) or ["nothing"]
        return [
            str(task.id),
            f"submitted {clock(task.created_at)}",
            task.unserved.message if task.unserved else "",
            progress_text(task.progress) if task.progress else "",
            f"spent {first}",
            *others,
            f"reserved {reserved}" if reserved else "",
        ]


def _doing(task: TaskSnapshot) -> str:
    """What follows the status."""
    if task.waiting_for is not None:
        phrase = f" {duration(since(task.waiting_for.since))} for {awaited(task.waiting_for)}"
        return ", ".join(filter(None, [phrase, time_left(task.waiting_for)]))
    if task.finished_at is not None:
        took = f" after {duration((task.finished_at - task.created_at).total_seconds())}"
        return f"{took}, {task.error.type}: {task.error.message}" if task.error else took
    if task.worker is not None and task.claimed_at is not None:
        return f" {duration(since(task.claimed_at))} on {task.worker}"
    return f" on queue {task.queue}"
