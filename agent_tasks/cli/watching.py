"""Following a task to its end: a live picture on a terminal, else a line for each change."""

import sys
import threading
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.live import Live

from agent_tasks import mirror
from agent_tasks.cli.problems import ExitCode, Failed, Problem, ended_badly
from agent_tasks.cli.text import progress_text, where
from agent_tasks.cli.view import TaskView
from agent_tasks.handle import TaskHandle
from agent_tasks.snapshots import TaskSnapshot
from agent_tasks.states import TaskStatus
from agent_tasks.unserved import Unserved


def follow(task: TaskHandle, timeout: float | None) -> Iterator[TaskSnapshot]:
    """The task as it stands, then at each change, to its end. Raises TimeoutError after `timeout` seconds."""
    changed = threading.Event()
    with task.client.notices.listening(mirror.key(task.id), lambda _: changed.set()):
        for seconds in task.polling(timeout):
            yield task.snapshot()
            if seconds is None:
                return
            if changed.wait(seconds):
                changed.clear()
                task.snapshot()
            else:
                task.stored()


def watch_until_end(
    task: TaskHandle, timeout: float | None, *, on_stderr: bool = False, lines: bool = True, as_json: bool = False
) -> TaskSnapshot:
    """Show the task until it has ended. Raises TimeoutError; Failed where the person goes away."""
    out = sys.stderr if on_stderr else sys.stdout
    try:
        if as_json:
            return _in_json(task, timeout)
        if out.isatty():
            return _live(task, timeout, Console(stderr=on_stderr))
        return _in_lines(task, timeout, out if lines else None)
    except KeyboardInterrupt:
        raise Failed(
            Problem(ExitCode.INTERRUPTED, "interrupted", f"Not watching any more. Task {task.id} goes on.")
        ) from None


def check_ended(task: TaskSnapshot) -> None:
    """Raises Failed where the task did not complete."""
    if task.status is not TaskStatus.COMPLETED:
        raise Failed(ended_badly(task.id, task.status, task.error))


def _live(task: TaskHandle, timeout: float | None, console: Console) -> TaskSnapshot:
    view = TaskView(task.snapshot())
    with Live(view, console=console, refresh_per_second=8):
        for snapshot in follow(task, timeout):
            view.task = snapshot
    return view.task


def _in_lines(task: TaskHandle, timeout: float | None, out: TextIO | None) -> TaskSnapshot:
    shown, version = "", 0
    for snapshot in follow(task, timeout):
        line = f"{snapshot.status:<9}  {snapshot.agent}.{snapshot.step}"
        if snapshot.progress is not None and snapshot.waiting_for is None:
            line += f"  {progress_text(snapshot.progress)}"
        elif where(snapshot):
            line += f"  {where(snapshot)}"
        if line != shown and snapshot.version >= version and out is not None:
            print(line, file=out, flush=True)
        shown, version = line, snapshot.version
    return task.snapshot()


def _in_json(task: TaskHandle, timeout: float | None) -> TaskSnapshot:
    told: tuple[int, Unserved | None] | None = None
    for snapshot in follow(task, timeout):
        if told != (snapshot.version, snapshot.unserved):
            print(snapshot.model_dump_json(), flush=True)
        told = snapshot.version, snapshot.unserved
    return task.snapshot()
