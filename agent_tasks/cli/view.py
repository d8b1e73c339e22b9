"""The picture of one task: its step and status, its progress, and its spending."""

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent_tasks.cli.lines import fitted, packed
from agent_tasks.cli.text import COLOURS, amount, duration, paused, printable, since, spent_parts, unserved, where
from agent_tasks.task.snapshot import TaskSnapshot

_INDENT, _BAR, _COUNTED = "  ", 40, 24


class TaskView:
    """Renders `task`, which may be replaced by a later snapshot at any time."""

    def __init__(self, task: TaskSnapshot) -> None:
        self.task = task

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        task, width = self.task, options.max_width
        parts: list[RenderableType] = [self._headline(), self._progress(width)]
        if task.paused is not None:
            parts.append(Padding(Text(paused(task), style="yellow"), (0, 0, 0, len(_INDENT))))
        if task.unserved is not None:
            parts.append(Padding(Text(unserved(task), style="yellow"), (0, 0, 0, len(_INDENT))))
        if task.progress is not None and task.progress.message:
            parts.append(Text(_INDENT + _shortened(printable(task.progress.message), width - 4), style="dim"))
        spent = spent_parts(task.budget) or ["nothing"]
        parts += [Text(line, style="dim") for line in packed([f"spent {spent[0]}", *spent[1:]], width)]
        yield Group(*parts)

    def _headline(self) -> Text:
        task = self.task
        line = Text(_INDENT, no_wrap=True, overflow="ellipsis")
        line.append(f"{task.agent}.{task.step}", style="bold")
        line.append(f"  {task.status}", style=COLOURS[task.status])
        line.append(f"  {where(task)}" if not task.status.is_terminal else "", style="dim")
        return line

    def _progress(self, width: int) -> Table:
        task, progress = self.task, self.task.progress
        total, done = (progress.total, progress.done) if progress else (None, 0)
        over, bar_width = task.status.is_terminal, max(10, min(_BAR, width - 40))
        if total:
            bar = ProgressBar(total=total, completed=done, width=bar_width)
        else:
            bar = ProgressBar(total=1, completed=1, pulse=not over, width=bar_width)
        counted = f"{done:g} of {total:g}" if total else f"{amount('steps', task.step_number)} committed"
        took = (task.finished_at - task.created_at).total_seconds() if task.finished_at else since(task.created_at)
        row = Table.grid(padding=(0, 2, 0, 0))
        row.add_row("", bar, fitted(counted, _COUNTED), duration(took))
        return row


def _shortened(text: str, width: int) -> str:
    """Return the text with its beginning and its end: the end of a path says most."""
    return text if len(text) <= width else f"{text[:12]}…{text[13 - width :]}"
