"""The live picture of a task and its children: one bar for all, and a line for each child."""

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent_tasks.cli.demo.tree import Tree, node_of
from agent_tasks.cli.text import COLOURS, awaited, duration, since
from agent_tasks.task.snapshot import TaskSnapshot

_INDENT, _BAR = "   ", 40


class Picture:
    """Renders `tree`, which may be replaced by a later one at any time; `dead` is the worker that was killed."""

    def __init__(self, tree: Tree, dead: str | None = None) -> None:
        self.tree = tree
        self._dead = dead

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Group(self._bar(), self._members())

    def _bar(self) -> Table:
        tree, root = self.tree, self.tree.root
        total = tree.total
        took = (root.finished_at - root.created_at).total_seconds() if root.finished_at else since(root.created_at)
        row = Table.grid(padding=(0, 2, 0, 0))
        row.add_row(
            _INDENT[:-2],
            ProgressBar(total=total or 1, completed=tree.done if total else 0, width=_BAR),
            f"{tree.done:g} of {total:g}" if total else "planning",
            duration(took),
        )
        return row

    def _members(self) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        root = self.tree.root
        table.add_row(_INDENT, "orchestrator", self._state(root), f"step {root.step_number + 1}", root.step)
        for child in self.tree.children:
            progress = child.progress
            read = f"{progress.done:g} of {progress.total:g}" if progress and progress.total else child.step
            number = child.step_number if child.status.is_terminal else child.step_number + 1
            name = Text(f"  {self.tree.name(child)}")
            table.add_row(_INDENT, name, self._state(child), f"step {number}", read)
        return table

    def _state(self, task: TaskSnapshot) -> Text:
        if task.worker is not None and task.worker == self._dead:
            return Text(f"{node_of(task.worker)} is dead, its lease runs out", style="red")
        words = str(task.status)
        if task.worker is not None:
            words += f" on {node_of(task.worker)}"
        elif task.waiting_for is not None:
            words += f" for {awaited(task.waiting_for)}, on no worker"
        return Text(words, style=COLOURS[task.status])
