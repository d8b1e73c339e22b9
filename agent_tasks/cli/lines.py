"""Fitting lines to a terminal."""

import re
import shutil
from collections.abc import Iterable
from itertools import chain
from textwrap import TextWrapper
from typing import TextIO

from rich.cells import cell_len, set_cell_size

from agent_tasks.cli.text import printable

_BETWEEN = " · "


def terminal_width() -> int:
    """Return the width in columns; 80 if there is no terminal."""
    return shutil.get_terminal_size((80, 24)).columns


def broken_for(out: TextIO, text: str, indent: str = "") -> str:
    """Return `text` in lines that fit a terminal, all but the first indented; for other outputs as it is."""
    if not out.isatty():
        return text
    fitting = TextWrapper(terminal_width(), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(chain.from_iterable(fitting.wrap(line) or [""] for line in text.split("\n")))


_COMMAND = re.compile(r" (agent-tasks .+?)(?:\. |$)")


def with_commands_apart(text: str) -> list[str]:
    """Return the sentences of an advice, with each command on a line of its own, to be copied."""
    parts = _COMMAND.split(text)
    return [f"  {part}" if number % 2 else part for number, part in enumerate(parts) if part]


def fitted(text: str, width: int) -> str:
    """Return the text on one line, cut to `width` columns."""
    text = printable(text)
    return text if cell_len(text) <= width else set_cell_size(text, max(1, width) - 1) + "…"


def padded(text: str, width: int) -> str:
    """Return the text `fitted` and padded to `width` columns."""
    return set_cell_size(fitted(text, width), width)


def packed(parts: Iterable[str], width: int, indent: str = "  ") -> list[str]:
    """Return lines with as many of the parts in each as fit; empty parts are left out."""
    room = max(20, width - len(indent))
    lines: list[str] = []
    for part in filter(None, parts):
        part = fitted(part, room)
        if lines and cell_len(lines[-1]) + len(_BETWEEN) + cell_len(part) <= room:
            lines[-1] += _BETWEEN + part
        else:
            lines.append(part)
    return [indent + line for line in lines]
