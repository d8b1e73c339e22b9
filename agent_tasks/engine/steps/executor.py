"""The executor: begin, invoke, decide, commit, and then go on with the next step in place, or publish."""

import asyncio
import logging
import threading
from time import monotonic
from typing import Any

from agent_tasks.engine.observers.flower import Telemetry
from agent_tasks.engine.process.loop import StepLoop
from agent_tasks.engine.process.loops import Loops
from agent_tasks.engine.steps.active import ActiveRuns
from agent_tasks.engine.steps.admission import Admission, is_async
from agent_tasks.engine.steps.commit import Commits
from agent_tasks.engine.steps.decision import decide, decide_failure
from agent_tasks.engine.steps.invocation import invoke_async, invoke_plain
from agent_tasks.engine.steps.operations import DatabaseAway
from agent_tasks.engine.steps.publication import Publication
from agent_tasks.engine.steps.run import Returned, StepResult, StepRun, Stopped
from agent_tasks.engine.steps.unfinished import Unfinished
from agent_tasks.errors import LeaseLost
from agent_tasks.moments import reached
from agent_tasks.settings import Settings
from agent_tasks.task.row import BellRow
from agent_tasks.transitions.claim import Claim

log = logging.getLogger(__name__)
_PASS_ON_SECONDS = 0.5


class Executor:
    """Runs the steps of one process, with a transition in Postgres between its phases."""

    def __init__(
        self,
        settings: Settings,
        loops: Loops,
        active: ActiveRuns,
        admission: Admission,
        commits: Commits,
        publication: Publication,
        unfinished: Unfinished,
        telemetry: Telemetry,
    ) -> None:
        self._settings = settings
        self._loops = loops
        self._active = active
        self._admission = admission
        self._commits = commits
        self._publication = publication
        self._unfinished = unfinished
        self._telemetry = telemetry

    def deliver(self, sealed: Any, task_name: str) -> None:
        """Run the step that a bell names, and those that follow in place. Called in a pool slot.

        Raises NotTaken where Postgres could not be asked: another worker may be able to.
        """
        envelope = self._admission.verify(sealed, task_name)
        if envelope is None:
            return
        loop = self._loops.current if is_async(envelope) else None
        if loop is not None and not loop.reserve(_PASS_ON_SECONDS):
            self._publication.ring_again(envelope)
            return
        run = None
        try:
            with self._active.arriving():
                if self._active.draining:
                    threading.Event().wait(_PASS_ON_SECONDS)
                    self._publication.ring_again(envelope)
                elif claim := self._admission.claim(envelope):
                    run = self._begin(claim, monotonic() + self._settings.quantum_seconds, loop)
        finally:
            if loop is not None and run is None:
                loop.free()
        if run is not None:
            self._run(run)

    def run_apart(self, claim: Claim) -> None:
        """Run a step that was claimed apart, in the background, and no step after it."""
        loop = self._loops.current if is_async(claim) else None
        if loop is not None:
            loop.reserve(None)
        run = self._begin(claim, 0.0, loop)
        if loop is not None and run is None:
            loop.free()
        elif run is not None and loop is not None:
            self._run(run)
        elif run is not None:
            threading.Thread(target=self._run, args=(run,), name=f"agent-tasks-{claim.step}", daemon=True).start()

    def _run(self, run: StepRun) -> None:
        if run.loop is not None:
            run.loop.start(lambda: self._run_async(run))
            return
        following: StepRun | None = run
        while following is not None:
            try:
                result = invoke_plain(following)
            except SystemExit:  # the process is told to end: another one runs the step again
                self._finish(following, Stopped())
                raise
            following = self._finish(following, result)

    async def _run_async(self, first: StepRun) -> None:
        loop = asyncio.get_running_loop()
        run: StepRun | None = first
        while run is not None:
            assert run.loop is not None
            result = await invoke_async(run, self._settings.overrun_seconds)
            run = await loop.run_in_executor(run.loop.database_threads, self._finish, run, result)

    def _begin(self, claim: Claim, quantum_ends: float, loop: StepLoop | None) -> StepRun | None:
        """Begin a claimed step; None where it may not begin, and its task has ended or was given back."""
        reached("claimed", step=claim.step)
        try:
            run = self._admission.admit(claim, quantum_ends, loop)
        except BaseException as error:  # a validator of the user's may raise anything
            self._unfinished.end_unstarted(claim, error)
            return None
        run.operations.warn_of_steps()
        self._active.add(run)
        self._telemetry.started(run)
        if run.loop is not None and run.loop.is_abandoned:  # just now: who abandoned it may not have seen this run
            self._unfinished.give_up([run])
            return None
        return run

    def _finish(self, run: StepRun, result: StepResult) -> StepRun | None:
        """Commit the result and publish it; returns the next step's run where this worker goes on with it."""
        reached("returned", step=run.claim.step)
        name, error, following = "dropped", None, None
        try:
            if isinstance(result, Returned):
                run.operations.give_back()
            decision = decide(run, result, limit=self._settings.payload_limit, draining=self._active.draining)
            settled = self._commits.commit(run.claim, decision, instead=lambda refused: decide_failure(run, refused))
            name, error = settled.name, settled.error
            if settled.row["finished_at"] is not None:
                _log_end(settled.row)
            if settled.next_claim is not None:
                following = self._begin(settled.next_claim, run.quantum_ends, run.loop)
            else:
                self._publication.publish(settled)
        except (LeaseLost, DatabaseAway) as reason:
            self._unfinished.drop(run, reason)
        finally:
            self._active.remove(run)
            self._telemetry.ended(run, name, error)
        return following


def _log_end(row: BellRow) -> None:
    what = (row["id"], row["agent"], row["status"], row["step_number"])
    log.info("task finished: task=%s agent=%s status=%s steps=%d", *what)
