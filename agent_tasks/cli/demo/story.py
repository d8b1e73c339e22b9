"""The demo's story: numbered phases, what happens in them, and how long each took."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from textwrap import wrap

from rich.console import Console
from rich.markdown import Markdown

from agent_tasks.cli.text import duration
from agent_tasks.store.queries.read import RepetitionRow, TreeRepetitionRow

SHORTENED_LINES = 20
"""How many lines of a report a terminal shows at once, up to the end of a paragraph."""


class Story:
    """Prints the same on a terminal and to a file, apart from colour; a file gets a whole report."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.paused = 0.0
        """The seconds spent waiting for a person, which are not counted."""
        self._number = 0
        self._began = time.monotonic()

    def title(self, text: str) -> None:
        self._print(text, "bold")

    def phase(self, text: str) -> None:
        self._number += 1
        self._print(f"\n{self._number}. {text}", "bold cyan")

    def line(self, text: str, style: str = "", *, indent: int = 3) -> None:
        for line in wrap(text, width=min(self.console.width, 100) - indent - 1, break_on_hyphens=False):
            self._print(" " * indent + line, style)

    def lines(self, *texts: str) -> None:
        for text in texts:
            self.line(text)

    def gap(self) -> None:
        self._print("")

    def report(self, heading: str, text: str) -> bool:
        """Print the report between rules; return False if it was shortened."""
        shown = shortened(text) if self.console.is_terminal else text
        self.rule(heading)
        self._render(shown)
        if shown != text:
            more = len(text.splitlines()) - len(shown.splitlines())
            self._print(f"… and {counted(more, 'more line')}", "dim")
        self.rule()
        return shown == text

    def whole(self, heading: str, text: str) -> None:
        self.rule(heading)
        self._render(text)
        self.rule()

    def rule(self, heading: str = "") -> None:
        width = min(self.console.width, 100)
        self._print(f"─── {heading} ".ljust(width, "─") if heading else "─" * width, "dim")

    @contextmanager
    def pause(self) -> Generator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.paused += time.monotonic() - began

    def end(self) -> None:
        took = duration(time.monotonic() - self._began - self.paused)
        without = f", not counting {duration(self.paused)} of waiting for you" if self.paused else ""
        self.gap()
        self.line(f"The demo took {took}{without}. What it started is stopped.", "dim")

    def _render(self, text: str) -> None:
        if self.console.is_terminal:
            self.console.print(Markdown(text), width=min(self.console.width, 100))
        else:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _print(self, text: str, style: str = "") -> None:
        self.console.print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)


def shortened(text: str) -> str:
    """Return the first paragraphs of a text, and no heading without any."""
    lines = text.splitlines()
    if len(lines) <= SHORTENED_LINES + 10:  # too few lines remain to be worth the question
        return text
    ends = [at for at in range(1, SHORTENED_LINES) if not lines[at] and not lines[at - 1].startswith("#")]
    return "\n".join(lines[: max(ends, default=SHORTENED_LINES)])


def repetition_lines(row: RepetitionRow, step: int) -> list[str]:
    """Return what the kill cost, from the task's history; `step` is the interrupted one, counted from 1."""
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
        f"came from the ledger, {made} {'was' if made == 1 else 'were'} made."
    )
    return lines


def tree_line(row: TreeRepetitionRow) -> str:
    """Return how much of a whole tree was done only once."""
    steps = f"{row['steps_once']:,} of {counted(row['steps'], 'committed step')}"
    calls = f"{row['calls_once']:,} of {counted(row['calls'], 'recorded call')}"
    return f"{steps} and {calls} were done only once."


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
