"""Steps without a result of their own: never begun, dropped, or ended by their worker."""

import logging
from collections.abc import Sequence
from time import monotonic

from agent_tasks import metrics
from agent_tasks.authoring.step import OtherArguments
from agent_tasks.engine.observers.flower import Telemetry
from agent_tasks.engine.steps.active import ActiveRuns
from agent_tasks.engine.steps.admission import CodeGone, code_of
from agent_tasks.engine.steps.commit import Commits
from agent_tasks.engine.steps.decision import decide_unstarted
from agent_tasks.engine.steps.failures import shown_error
from agent_tasks.engine.steps.operations import DatabaseAway
from agent_tasks.engine.steps.publication import Publication
from agent_tasks.engine.steps.raised import said
from agent_tasks.engine.steps.run import StepRun
from agent_tasks.errors import LeaseLost, StepFailed
from agent_tasks.store.errors import Transient
from agent_tasks.transitions.claim import Claim

log = logging.getLogger(__name__)


class Unfinished:
    """Ends steps that did not end by themselves, or gives them back."""

    def __init__(self, active: ActiveRuns, commits: Commits, publication: Publication, telemetry: Telemetry) -> None:
        self._active = active
        self._commits = commits
        self._publication = publication
        self._telemetry = telemetry

    def end_unstarted(self, claim: Claim, error: BaseException) -> None:
        """End or give back a claimed step that was not admitted because of `error`."""
        match error:
            case Transient() | DatabaseAway():
                log.warning("step not started, Postgres cannot be reached: task=%s error=%s", claim.id, error)
            case CodeGone() | OtherArguments():
                self._refuse(claim, error)
            case _:
                self._end(claim, error)

    def drop(self, run: StepRun, reason: Exception) -> None:
        """Drop the result of a step, which cannot be committed, and give the step back."""
        if run.stopped_at is None and not run.given_up:
            metrics.LEASES_LOST.inc()
            log.warning("result dropped: task=%s step=%s reason=%s", run.claim.id, run.claim.step, reason)
        try:
            self._commits.give_back([run])
        except Transient as error:
            log.warning("lease not released, it will expire: task=%s error=%s", run.claim.id, error)

    def fail_overdue(self, run: StepRun) -> None:
        """End the task of a plain step that goes on past its time; called when its slot is given up."""
        run.given_up = True
        self._active.remove(run)
        if run.deadline is not None and monotonic() > run.deadline:
            self._end(run.claim, run.out_of_time())

    def fail_blocking(self, run: StepRun, seconds: float, stack: str) -> None:
        """End the task of a step that blocks the event loop."""
        step = run.claim.step
        error = StepFailed(
            f"Step {step} blocked the event loop for {seconds:.0f} s, which other steps need. Make blocking calls by "
            "ctx.call(a plain function) or asyncio.to_thread, or make it a plain `def` step.",
            step=step,
            blocked_seconds=round(seconds, 1),
        )
        run.given_up = True
        self._active.remove(run)
        overdue = run.deadline is not None and monotonic() > run.deadline
        self._end(run.claim, run.out_of_time() if overdue else error, stack)
        self._telemetry.ended(run, "failed", error)

    def give_up(self, runs: Sequence[StepRun]) -> None:
        """Give back the steps of a loop that is no more: they run again elsewhere, or here on the next one."""
        for run in runs:
            run.given_up = True
            self._active.remove(run)
            self._telemetry.ended(run, "dropped")
        try:
            self._commits.give_back(runs)
        except Transient as error:
            log.warning("leases not released, they will expire: tasks=%d error=%s", len(runs), error)

    def _refuse(self, claim: Claim, error: "CodeGone | OtherArguments") -> None:
        """Give back a step that the code here cannot take, but that of another release may.

        An input, and what an undo is given, was recorded for no release in particular: it is wrong where no living
        worker has other code. The state of a later step was right for the release that recorded it: it waits for it.
        """
        signature = "" if isinstance(error, CodeGone) else code_of(claim)[1].signature
        is_untried = claim.step_number == 0 or claim.undo_step is not None
        try:
            row = self._commits.refuse(claim, error, signature=signature, only_if_served=is_untried)
        except DatabaseAway as reason:
            log.warning("step not given back, its lease will expire: task=%s reason=%s", claim.id, reason)
            return
        if row is None:
            self._end(claim, error)
            return
        shown = said(shown_error(claim, error))
        log.warning("step given back, this code cannot take it: task=%s step=%s error=%s", claim.id, claim.step, shown)
        metrics.STEPS.labels(claim.agent, claim.step, "given_back").inc()
        self._publication.show(row)

    def _end(self, claim: Claim, error: BaseException, traceback: str | None = None) -> None:
        try:
            settled = self._commits.commit(claim, decide_unstarted(claim, error, traceback))
        except (LeaseLost, DatabaseAway) as reason:
            log.warning("end not recorded, the sweep will do it: task=%s reason=%s", claim.id, reason)
            return
        shown, status = said(shown_error(claim, error)), settled.row["status"]
        log.warning("step refused: task=%s step=%s status=%s error=%s", claim.id, claim.step, status, shown)
        metrics.STEPS.labels(claim.agent, claim.step, "refused").inc()
        self._publication.publish(settled)
