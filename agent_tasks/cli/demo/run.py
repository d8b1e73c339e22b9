"""The course of the demo: start, submit, run, kill, go on, ask, publish."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from agent_tasks.cli.demo.approval import Answer, ask, can_ask, user_name
from agent_tasks.cli.demo.judgement import Judgement
from agent_tasks.cli.demo.kill import Kill, try_to_kill
from agent_tasks.cli.demo.picture import Picture
from agent_tasks.cli.demo.stage import LEASE_SECONDS, Stage, stage
from agent_tasks.cli.demo.story import Story, counted, repetition_lines, tree_line
from agent_tasks.cli.demo.tree import Tree, changes, look, node_of, pid_of
from agent_tasks.cli.problems import Failed, ended_badly
from agent_tasks.cli.text import duration, printable
from agent_tasks.client.handle import TaskHandle
from agent_tasks.errors import ErrorType
from agent_tasks.store.queries import read
from agent_tasks.task.identity import Identity
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus

TRIES = 3
"""How often a run is repeated whose readers are done before a worker can be killed."""
LONGEST_SECONDS = 600.0
_SHOWN_SHARE = 0.2


class Demo:
    def __init__(
        self, paths: list[Path], question: str, output: Path, data_dir: Path | None, *, samples: bool, yes: bool
    ) -> None:
        self._input: dict[str, Any] = {
            "paths": [str(path) for path in paths],
            "question": question,
            "output": str(output),
            "approve": True,
        }
        self._data_dir = data_dir
        self._roots = [*_folders(paths), output]
        self._samples = samples
        self._asks = not yes and can_ask()
        self._yes = yes
        self._person = Identity(subject=user_name())
        self._console = Console()
        self._story = Story(self._console)
        self._shown = 0.0

    def run(self) -> int:
        """Run the demo; return 0 if the report was published, or refused by the person. Raises Failed."""
        self._story.title("A task that outlives its worker, and waits for a person without one")
        began = time.monotonic()
        self._story.phase("Start PostgreSQL, Valkey, two workers, a sweeper and beat on this machine")
        with stage(self._data_dir, self._roots) as ready:
            ready.wait_for_workers()
            self._story.line(f"Ready after {duration(time.monotonic() - began)}", "dim")
            task, kill = self._run_and_kill(ready)
            if kill is not None:
                self._go_on(task, kill)
            self._follow(task, lambda tree: tree.waits_for_a_person, kill)
            answer = self._approve(task)
            self._tell_end(ready, task, kill, answer)
        self._story.end()
        return 0

    def _run_and_kill(self, ready: Stage) -> tuple[TaskHandle, Kill | None]:
        for left in range(TRIES - 1, -1, -1):
            task = self._submit(ready)
            hunt = _Hunt(task)
            last = self._follow(task, hunt.is_over, every=0.03)
            if hunt.kill is not None or last.root.status.is_terminal or not left:
                break
            self._story.line("The readers were done before a worker could be killed: giving up this run, trying again.")
            task.cancel("the run was over too soon for the demo")
        return task, hunt.kill  # pyright: ignore[reportPossiblyUnboundVariable]

    def _submit(self, ready: Stage) -> TaskHandle:
        paths = counted(len(self._input["paths"]), "document" if self._samples else "path")
        of = "documents of this project and of installed packages" if self._samples else "the given paths"
        approver = "you" if self._asks else "the demo itself"
        self._story.phase(f"Submit a research task over {paths}")
        self._story.lines(f"Documents: {of}", f"Question: {self._input['question']}")
        self._story.line(f"Report: {self._input['output']}, written once it is approved by {approver}")
        if not self._asks and not self._yes:
            self._story.line("(There is no terminal to ask on, so this runs as with --yes.)")
        began = time.monotonic()
        task = ready.client.submit("orchestrator", self._input, identity=self._person)
        milliseconds = (time.monotonic() - began) * 1000
        self._story.line(f"Task {task.id}, accepted in {milliseconds:.0f} ms: from here on it is in Postgres", "dim")
        self._story.phase("Read: the task spawns readers, and waits for them without a worker of its own")
        return task

    def _follow(
        self,
        task: TaskHandle,
        is_over: Callable[[Tree], bool],
        kill: Kill | None = None,
        *,
        every: float = 0.1,
        transient: bool = False,
    ) -> Tree:
        """Show the task until `is_over`, or to its end."""
        tree = look(task)
        picture = Picture(tree, kill.worker if kill else None)
        deadline = time.monotonic() + LONGEST_SECONDS
        with self._live(picture, transient=transient):
            for tree in changes(task, every):
                picture.tree = tree
                self._show_line(tree)
                if is_over(tree):
                    picture.tree = look(task)
                    break
                if time.monotonic() > deadline:
                    raise TimeoutError(f"The task has not ended after {duration(LONGEST_SECONDS)}.")
        return tree

    def _live(self, picture: Picture, *, transient: bool) -> AbstractContextManager[object]:
        if not self._console.is_terminal:
            return nullcontext()
        return Live(picture, console=self._console, refresh_per_second=8, transient=transient)

    def _go_on(self, task: TaskHandle, kill: Kill) -> None:
        story, child = self._story, kill.child
        name, pid, step = node_of(kill.worker), pid_of(kill.worker), child.step_number + 1
        story.phase(f"Kill {name} (pid {pid}) with SIGKILL in the middle of step {step} of {kill.name}")
        story.line(
            f"{kill.name.capitalize()} had {counted(child.step_number, 'step')} committed and, in step {step}, "
            f"{counted(kill.calls, 'call')} recorded (one per document)."
        )
        if kill.others:
            story.line(f"{name} ran {' and '.join(kill.others)} too. It can neither clean up nor say goodbye.")
        story.line(f"Its lease of {LEASE_SECONDS} s runs out in Postgres; then the sweeper hands its steps to others.")
        story.phase("Go on from the checkpoint on the other worker")

        def taken_over(tree: Tree) -> bool:
            now = tree.child(child)
            return now.status.is_terminal or now.worker not in (None, kill.worker)

        now = self._follow(task, taken_over, kill, transient=True).child(child)
        if now.worker is not None:
            other, after = node_of(now.worker), duration(time.monotonic() - kill.at)
            story.line(f"{other} has {kill.name}, at step {now.step_number + 1}, {after} after the kill")

    def _approve(self, task: TaskHandle) -> Answer | None:
        """Give the task its signal; return None if it has ended without waiting for one."""
        waiting, story = task.stored(), self._story
        if waiting.waiting_for is None or waiting.waiting_for.until is None:
            return None
        asked_at, limit = waiting.waiting_for.since, waiting.waiting_for.until
        story.phase("Wait for an approval: nothing is published without one")
        story.line(f"The draft was ready {duration((asked_at - waiting.created_at).total_seconds())} after the submit.")
        if waiting.worker is None:
            story.line(
                f"The task may wait {duration((limit - asked_at).total_seconds())} for its signal. Meanwhile it is a "
                "row in Postgres, and holds no worker, no connection and no message."
            )
        draft: str = waiting.partial["report"]
        heading = "Draft, not published yet"
        whole = story.report(heading, draft)
        if self._asks:
            with story.pause():
                answer = ask(self._console, "Publish it?", None if whole else lambda: story.whole(heading, draft))
        else:
            answer = Answer(ok=True)
            story.line("Approved by the demo itself.")
        payload = {"ok": answer.ok, "note": answer.note}
        answered = waiting.waiting_for.wait_id
        task.signal("approval", payload, signal_id=f"demo-{task.id}", wait_id=answered, identity=self._person)
        return answer

    def _tell_end(self, ready: Stage, task: TaskHandle, kill: Kill | None, answer: Answer | None) -> None:
        ended, story = task.wait(timeout=LONGEST_SECONDS), self._story
        refused = ended.status is TaskStatus.PARTIAL and answer is not None and not answer.ok
        if ended.status is not TaskStatus.COMPLETED and not refused:
            raise _failed(ready, ended)
        judged = Judgement.of(task)
        if refused:
            story.phase(f"Not published: refused by {judged.by}")
            story.line(f"The task ended as {ended.status}, and keeps its report: {_reason(ended)}")
        else:
            story.phase(f"Published, approved by {judged.by}")
            story.line(f"The report is in {ended.result['path']}", "bold")
            if answer is not None and answer.note:
                story.line(f"Note: {answer.note}")
        took = (ended.finished_at - ended.created_at).total_seconds() if ended.finished_at else 0.0
        story.line(
            f"The task took {duration(took - judged.waited)}; in addition, it waited {duration(judged.waited)} for the "
            f"answer, and went on {judged.went_on_after * 1000:.0f} ms after it."
        )
        self._tell_cost(ready, ended, kill)

    def _tell_cost(self, ready: Stage, ended: TaskSnapshot, kill: Kill | None) -> None:
        story = self._story
        if kill is None:
            story.line("No worker was killed: the run was too short. Give it more documents.")
        with ready.client.database.connection() as connection:
            if kill is not None:
                row = read.repetition(connection, kill.child.id, kill.child.step_number)
                story.gap()
                story.line(f"What the kill cost {kill.name}:", "green")
                for line in repetition_lines(row, kill.child.step_number + 1):
                    story.line(line, "green", indent=5)
            tree = read.tree_repetition(connection, ended.id)
        story.line("And the whole tree, the task with all of its children:", "green")
        story.line(tree_line(tree), "green", indent=5)

    def _show_line(self, tree: Tree) -> None:
        """Show the state in a line now and then, where there is no live picture."""
        if self._console.is_terminal or not tree.total:
            return
        share = tree.done / tree.total
        if share >= self._shown + _SHOWN_SHARE:
            self._shown = share
            statuses = Counter(str(reader.status) for reader in tree.readers)
            readers = ", ".join(f"{number} {status}" for status, number in statuses.items())
            self._story.line(f"{tree.done:g} of {tree.total:g}; readers: {readers}", "dim")


class _Hunt:
    """Looks for a reader whose worker to kill, until none is left."""

    def __init__(self, task: TaskHandle) -> None:
        self.kill: Kill | None = None
        self._task = task

    def is_over(self, seen: Tree) -> bool:
        self.kill = try_to_kill(self._task, seen)
        return self.kill is not None or seen.readers_are_over


def _folders(documents: list[Path]) -> list[Path]:
    """Return the folders that hold the documents, none of which lies in another."""
    folders = sorted({path if path.is_dir() else path.parent for path in documents})
    kept: list[Path] = []
    for folder in folders:
        if not kept or not folder.is_relative_to(kept[-1]):
            kept.append(folder)
    return kept


def _failed(ready: Stage, ended: TaskSnapshot) -> Failed:
    if ended.error is not None and ended.error.type is ErrorType.INVALID_INPUT:
        return Failed(ended_badly(ended.id, ended.status, ended.error))
    said = f"{ended.error.type}: {_reason(ended)}" if ended.error else ""
    return ready.failed(f"The task ended as {ended.status}. {said}".strip())


def _reason(ended: TaskSnapshot) -> str:
    return printable(ended.error.message) if ended.error else ""
