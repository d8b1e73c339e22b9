"""The approval of the report, given by a person at the terminal or by the demo itself."""

import getpass
import sys
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console

from agent_tasks.storable import storable

LONGEST_NOTE = 1000


@dataclass(frozen=True)
class Answer:
    ok: bool
    note: str | None = None


def can_ask() -> bool:
    """Whether somebody is there to see the question and to answer it."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def user_name() -> str:
    try:
        return storable(getpass.getuser())[:256] or "somebody"
    except (KeyError, OSError):  # the process's user has no name
        return "somebody"


def ask(console: Console, question: str, show_all: Callable[[], None] | None) -> Answer:
    """Ask until there is an answer; closing the input means no. With `show_all` there is more to see."""
    choices = "y/n" if show_all is None else "y/n, a to read all of it"
    try:
        while (said := console.input(f"   {question} \\[{choices}] ").strip().lower()) not in ("y", "yes", "n", "no"):
            if said in ("a", "all") and show_all is not None:
                show_all()
        note = console.input("   A note, or Enter for none: ").strip()
    except EOFError:
        console.print()
        return Answer(ok=False, note="the input was closed")
    return Answer(ok=said.startswith("y"), note=storable(note)[:LONGEST_NOTE] or None)
