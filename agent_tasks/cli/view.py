"""The picture of one task: its step and status, its progress, what it has spent."""

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent_tasks.cli.text import COLOURS, amount, budget_spent, duration, since, unserved, where
from agent_tasks.snapshots import TaskSnapshot

_INDENT, _BAR = "  ", 40


class TaskView:
    """Renders `task`, which may be replaced by a later snapshot at any time."""

    def __init__(self, task: TaskSnapshot, *, brief: bool = False) -> None:
        self.task = task
        self._brief = brief

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        message = self.task.progress.message if self.task.progress else None
        parts = [self._headline(), self._progress()]
        if self.task.unserved is not None:
            parts.append(Text(_INDENT + unserved(self.task), style="yellow"))
        if message:
            parts.append(Text(_INDENT + _shortened(message, options.max_width - 4), style="dim"))
        if not self._brief:
            parts.append(Text(f"{_INDENT}spent {budget_spent(self.task.budget)}", style="dim"))
        yield Group(*parts)

    def _headline(self) -> Text:
        task = self.task
        line = Text(_INDENT, no_wrap=True, overflow="ellipsis")
        line.append(f"{task.agent}.{task.step}", style="bold")
        line.append(f"  {task.status}", style=COLOURS[task.status])
        line.append(f"  {where(task)}" if not task.status.is_terminal else "", style="dim")
        return line

    def _progress(self) -> Table:
        task, progress = self.task, self.task.progress
        total, done = (progress.total, progress.done) if progress else (None, 0)
        over = task.status.is_terminal
        if total:
            bar = ProgressBar(total=total, completed=done, width=_BAR)
        else:
            bar = ProgressBar(total=1, completed=1, pulse=not over, width=_BAR)
        counted = f"{done:g} of {total:g}" if total else f"{amount('steps', task.step_number)} committed"
        took = (task.finished_at - task.created_at).total_seconds() if task.finished_at else since(task.created_at)
        row = Table.grid(padding=(0, 2, 0, 0))
        row.add_row("", bar, counted, duration(took))
        return row


def _shortened(text: str, width: int) -> str:
    """With its beginning and its end: of a path the end tells most."""
    return text if len(text) <= width else f"{text[:12]}…{text[13 - width :]}"
