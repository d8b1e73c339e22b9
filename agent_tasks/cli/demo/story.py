"""What the demo tells: numbered phases, what happens in them, and how long each took."""

import time
from pathlib import Path
from textwrap import wrap

from rich.console import Console
from rich.markdown import Markdown

from agent_tasks.cli.text import duration
from agent_tasks.transitions.rows import Row


class Story:
    """Reads the same on a terminal and in a file, but for colour."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._number = 0
        self._began = time.monotonic()

    def title(self, text: str) -> None:
        self._print(text, "bold")

    def phase(self, text: str) -> None:
        self._number += 1
        self._print(f"\n{self._number}. {text}", "bold cyan")

    def line(self, text: str, style: str = "") -> None:
        for line in wrap(text, width=min(self.console.width, 100) - 4):
            self._print(f"   {line}", style)

    def took(self, what: str, began: float) -> None:
        self.line(f"{what} after {duration(time.monotonic() - began)}", "dim")

    def report(self, text: str, path: Path) -> None:
        self._print(f"\n─── {path.name} ".ljust(79, "─"), "dim")
        if self.console.is_terminal:
            self.console.print(Markdown(text))
        else:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)
        self._print("─" * 78, "dim")

    def end(self, path: Path) -> None:
        self._print(f"\nThe report is in {path}", "bold")
        self.line(f"All in {duration(time.monotonic() - self._began)}; what was started here is stopped.", "dim")

    def _print(self, text: str, style: str = "") -> None:
        self.console.print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)


def repetition_lines(row: Row, step: int) -> list[str]:
    """What the kill cost, from the task's history: `step` is the one that it cut off, counted from 1."""
    kept = f"{counted(row['steps_kept'], 'step')} and {counted(row['calls_kept'], 'recorded call')}"
    lines = [f"{kept} done before the kill were not repeated."]
    if not row["steps_repeated"]:
        lines.append("No step ran twice: the kill came between two of them.")
        return lines
    again = counted(row["steps_repeated"], "step")
    which = f" (step {step})" if row["steps_repeated"] == 1 else ""
    made = row["calls_of_repeated"] - row["calls_replayed"]
    lines.append(
        f"{again} ran twice{which}: of its {counted(row['calls_of_repeated'], 'call')} {row['calls_replayed']} "
        f"came from the ledger, {made} were made."
    )
    return lines


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
