"""The demo's course: start, submit, run, kill, go on, report."""

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from agent_tasks.cli.demo.kill import Kill, changes, try_to_kill
from agent_tasks.cli.demo.stage import LEASE_SECONDS, Stage, stage
from agent_tasks.cli.demo.story import Story, counted, repetition_lines
from agent_tasks.cli.text import duration, progress_text
from agent_tasks.cli.view import TaskView
from agent_tasks.handle import TaskHandle
from agent_tasks.snapshots import TaskSnapshot
from agent_tasks.states import TaskStatus
from agent_tasks.transitions import read

TRIES = 3
"""Runs that end before a worker can be killed are repeated so often."""
LONGEST_SECONDS = 600.0
_SHOWN_SHARE = 0.2


class Demo:
    def __init__(self, paths: list[Path], question: str, output: Path, data_dir: Path | None, *, samples: bool) -> None:
        self._input: dict[str, Any] = {"paths": [str(path) for path in paths], "question": question}
        self._output = output
        self._data_dir = data_dir
        self._samples = samples
        self._console = Console()
        self._story = Story(self._console)
        self._shown = 0.0

    def run(self) -> int:
        """The exit code: 0 only where the task completed. Raises Failed."""
        self._story.title("A task that outlives its worker")
        began = time.monotonic()
        self._story.phase("Start PostgreSQL, Valkey, two workers, a sweeper and beat on this machine")
        with stage(self._data_dir) as ready:
            ready.wait_for_workers()
            self._story.took("Ready", began)
            ended, kill = self._run_and_kill(ready)
            self._tell_end(ready, ended, kill)
        if ended.status is TaskStatus.COMPLETED:
            self._story.end(self._output)
            return 0
        return 1

    def _run_and_kill(self, ready: Stage) -> tuple[TaskSnapshot, Kill | None]:
        for _ in range(TRIES):
            task = self._submit(ready)
            kill, last = self._follow(task, to_kill=True)
            if kill is not None:
                return self._go_on(ready, task, kill), kill
            if last.status is not TaskStatus.COMPLETED:
                return last, None
            self._story.line(f"It was over after {_took(last)}, before a worker could be killed.")
        return last, None  # pyright: ignore[reportPossiblyUnboundVariable]

    def _submit(self, ready: Stage) -> TaskHandle:
        paths = counted(len(self._input["paths"]), "document" if self._samples else "path")
        of = "documents of this project and of installed packages" if self._samples else "the given paths"
        self._story.phase(f"Submit a research task over {paths}")
        self._story.line(f"Documents: {of}")
        self._story.line(f"Question: {self._input['question']}")
        began = time.monotonic()
        task = ready.client.submit("research", self._input)
        milliseconds = (time.monotonic() - began) * 1000
        self._story.line(f"Task {task.id}, accepted in {milliseconds:.0f} ms: from here on it is in Postgres", "dim")
        self._story.phase("Run it, step by step; each step's end is a commit")
        return task

    def _follow(
        self, task: TaskHandle, *, to_kill: bool = False, until_not: str | None = None
    ) -> tuple[Kill | None, TaskSnapshot]:
        """Show the task to its end, to the kill, or until a worker other than `until_not` has it."""
        snapshot = task.stored()
        view = TaskView(snapshot, brief=True)
        deadline = time.monotonic() + LONGEST_SECONDS
        with self._live(view, transient=until_not is not None):
            for snapshot in changes(task):
                view.task = snapshot
                self._show_line(snapshot)
                if to_kill and (kill := try_to_kill(task, snapshot)):
                    view.task = task.stored()
                    return kill, view.task
                if until_not is not None and snapshot.worker not in (None, until_not):
                    break
                if time.monotonic() > deadline:
                    raise TimeoutError(f"The task has not ended after {duration(LONGEST_SECONDS)}.")
        return None, snapshot

    def _live(self, view: TaskView, *, transient: bool) -> AbstractContextManager[object]:
        if not self._console.is_terminal:
            return nullcontext()
        return Live(view, console=self._console, refresh_per_second=8, transient=transient)

    def _go_on(self, ready: Stage, task: TaskHandle, kill: Kill) -> TaskSnapshot:
        name, _, pid = kill.worker.rpartition("/")
        name, step = name.partition("@")[0], kill.step_number + 1
        self._story.phase(f"Kill {name} (pid {pid}) with SIGKILL in the middle of step {step} ({kill.step})")
        self._story.line(f"It cannot clean up or say goodbye. {counted(kill.step_number, 'step')} committed so far.")
        self._story.line(
            f"It held the task by a lease of {LEASE_SECONDS} s; when that is over, the sweeper takes it back."
        )
        self._story.phase("Go on from the checkpoint on the other worker")
        _, taken = self._follow(task, until_not=kill.worker)
        if taken.worker is not None:
            other, after = taken.worker.partition("@")[0], duration(time.monotonic() - kill.at)
            self._story.line(f"{other} has it, at step {taken.step_number + 1}, {after} after the kill")
        self._shown = 0.0
        return self._follow(task)[1]

    def _tell_end(self, ready: Stage, ended: TaskSnapshot, kill: Kill | None) -> None:
        if ended.status is not TaskStatus.COMPLETED:
            said = f"{ended.error.type}: {ended.error.message}" if ended.error else ""
            raise ready.failed(f"The task ended as {ended.status}. {said}".strip())
        self._story.phase(f"Completed in {_took(ended)}, {counted(ended.step_number, 'step')}")
        report: str = ended.result["report"]
        self._output.write_text(report, encoding="utf-8")
        self._story.report(report, self._output)
        if kill is None:
            self._story.line("No worker was killed: this run is too short for it. Give it more documents.")
            return
        with ready.client.database.connection() as connection:
            row = read.repetition(connection, ended.id, kill.step_number)
        for line in repetition_lines(row, kill.step_number + 1):
            self._story.line(line, "green")

    def _show_line(self, task: TaskSnapshot) -> None:
        """Where there is no live picture: now and then."""
        progress = task.progress
        if self._console.is_terminal or progress is None or not progress.total:
            return
        share = progress.done / progress.total
        if share >= self._shown + _SHOWN_SHARE:
            self._shown = share
            self._story.line(progress_text(progress), "dim")


def _took(task: TaskSnapshot) -> str:
    return duration((task.finished_at - task.created_at).total_seconds()) if task.finished_at else "?"
