"""Following a task to its end: a live picture on a terminal, else a line for each change."""

import sys
from collections.abc import Iterator
from textwrap import wrap
from typing import TextIO

from rich.console import Console
from rich.live import Live

from agent_tasks.cli.lines import fitted, terminal_width
from agent_tasks.cli.problems import ExitCode, Failed, Problem, ended_badly
from agent_tasks.cli.text import paused, progress_text, unserved, where
from agent_tasks.cli.view import TaskView
from agent_tasks.client.following import follow
from agent_tasks.client.handle import TaskHandle
from agent_tasks.task.paused import Paused
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus
from agent_tasks.task.unserved import Unserved


def watch_until_end(
    task: TaskHandle, timeout: float | None, *, on_stderr: bool = False, lines: bool = True, as_json: bool = False
) -> TaskSnapshot:
    """Show the task until it has ended. Raises TimeoutError; Failed if the user stops watching."""
    out = sys.stderr if on_stderr else sys.stdout
    try:
        if as_json:
            return _in_json(task, timeout)
        if out.isatty():
            return _live(task, timeout, Console(stderr=on_stderr))
        return _in_lines(task, timeout, out if lines else None)
    except KeyboardInterrupt:
        raise Failed(
            Problem(ExitCode.INTERRUPTED, "interrupted", f"Stopped watching. Task {task.id} goes on.")
        ) from None


def check_ended(task: TaskSnapshot) -> None:
    """Raise Failed if the task did not complete."""
    if task.status is not TaskStatus.COMPLETED:
        raise Failed(ended_badly(task.id, task.status, task.error))


def _live(task: TaskHandle, timeout: float | None, console: Console) -> TaskSnapshot:
    view = TaskView(task.snapshot())
    with Live(view, console=console, refresh_per_second=8):
        for _ in follow(task, timeout):
            view.task = task.snapshot()
    return view.task


def _in_lines(task: TaskHandle, timeout: float | None, out: TextIO | None) -> TaskSnapshot:
    shown: list[str] = []
    width = terminal_width()
    for snapshot in _changes(task, timeout):
        lines = [fitted(_line(snapshot), width), *wrap(paused(snapshot), width), *wrap(unserved(snapshot), width)]
        if lines != shown and out is not None:
            print("\n".join(lines), file=out, flush=True)
        shown = lines
    return task.snapshot()


def _line(task: TaskSnapshot) -> str:
    now = progress_text(task.progress) if task.progress is not None and task.waiting_for is None else where(task)
    return f"{task.status:<9}  {task.agent}.{task.step}  {now}".rstrip()


def _in_json(task: TaskHandle, timeout: float | None) -> TaskSnapshot:
    for snapshot in _changes(task, timeout):
        print(snapshot.model_dump_json(), flush=True)
    return task.snapshot()


def _changes(task: TaskHandle, timeout: float | None) -> Iterator[TaskSnapshot]:
    """Yield the task whenever what is shown of it changes; the passing of time alone is no change."""
    shown: tuple[int, Unserved | None, Paused | None] | None = None
    for _ in follow(task, timeout):
        snapshot = task.snapshot()
        if shown != (snapshot.version, snapshot.unserved, snapshot.paused):
            yield snapshot
        shown = snapshot.version, snapshot.unserved, snapshot.paused
