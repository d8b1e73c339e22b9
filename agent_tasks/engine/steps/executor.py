"""The executor: verify, claim, admit, invoke, settle, publish."""

import asyncio
import dataclasses
import logging
import threading
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from agent_tasks import metrics
from agent_tasks.authoring.agent import Agent, find_agent
from agent_tasks.authoring.context import Context, SyncContext
from agent_tasks.authoring.outcomes import child_outcomes
from agent_tasks.authoring.permissions import check_scopes
from agent_tasks.authoring.step import OtherArguments, Step
from agent_tasks.doorbell.envelope import Envelope, ForgedEnvelope, verify
from agent_tasks.engine.process.gate import NotTaken
from agent_tasks.engine.process.loop import StepLoop
from agent_tasks.engine.steps.decision import find_cause, said
from agent_tasks.engine.steps.failures import told_of
from agent_tasks.engine.steps.invocation import invoke_async, invoke_plain
from agent_tasks.engine.steps.operations import DatabaseAway, StepOperations
from agent_tasks.engine.steps.run import Raised, StepOutcome, StepRun, Stopped
from agent_tasks.engine.steps.settlement import Settled, Settlement
from agent_tasks.errors import ContextLost, InvalidInput, LeaseLost, StepFailed
from agent_tasks.moments import reached
from agent_tasks.store.errors import Transient
from agent_tasks.store.queries import read
from agent_tasks.store.queries.children import outcomes
from agent_tasks.store.rows import Row
from agent_tasks.task import payloads
from agent_tasks.task.budget import exhausted_for_step
from agent_tasks.transitions.claim import Claim, Wanted
from agent_tasks.transitions.complete_input import complete_input
from agent_tasks.transitions.signal import consumed

if TYPE_CHECKING:
    from agent_tasks.engine.process.runtime import Runtime

log = logging.getLogger(__name__)
_PASS_ON_SECONDS = 0.5


class Executor:
    """Runs the steps of one process. Each phase is a method; a transition in Postgres stands between them."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._settlement = Settlement(runtime)

    def deliver(self, sealed: Any, task_name: str) -> None:
        """A bell rang: run the step it names, and those that follow in place. Called in a pool slot.

        Raises NotTaken where Postgres could not be asked: another worker may be able to.
        """
        envelope = self._verify(sealed, task_name)
        if envelope is None:
            return
        loop = self._runtime.loop if _is_async(envelope) else None
        if loop is not None and not loop.reserve(_PASS_ON_SECONDS):
            self._ring_again(envelope)
            return
        run = None
        try:
            with self._runtime.held.arriving():
                if self._runtime.draining:
                    threading.Event().wait(_PASS_ON_SECONDS)
                    self._ring_again(envelope)
                elif taken := self._claim(envelope):
                    run = self._admit(taken, monotonic() + self._runtime.settings.quantum_seconds, loop)
        finally:
            if loop is not None and run is None:
                loop.free()
        if run is not None:
            self._run(run)

    def begin(self, taken: Claim) -> None:
        """Run a step that was claimed apart, in the background, and no step after it."""
        loop = self._runtime.loop if _is_async(taken) else None
        if loop is not None:
            loop.reserve(None)
        run = self._admit(taken, 0.0, loop)
        if loop is not None and run is None:
            loop.free()
        elif run is not None and loop is not None:
            self._run(run)
        elif run is not None:
            threading.Thread(target=self._run, args=(run,), name=f"agent-tasks-{taken.step}", daemon=True).start()

    def _run(self, run: StepRun) -> None:
        if run.loop is not None:
            run.loop.start(lambda: self._run_async(run))
            return
        following: StepRun | None = run
        while following is not None:
            following = self._settle(following, invoke_plain(following))

    async def _run_async(self, first: StepRun) -> None:
        loop = asyncio.get_running_loop()
        run: StepRun | None = first
        while run is not None:
            assert run.loop is not None
            outcome = await invoke_async(run, self._runtime.settings.overrun_seconds)
            run = await loop.run_in_executor(run.loop.database_threads, self._settle, run, outcome)

    # --- the phases, in order -------------------------------------------------------------------------------

    def _verify(self, sealed: Any, task_name: str) -> Envelope | None:
        try:
            envelope = verify(sealed, *self._runtime.client.publisher.keys)
            if envelope.task_name != task_name:
                raise ForgedEnvelope(f"it is for {envelope.task_name}, the message for {task_name}")
        except ForgedEnvelope as error:
            metrics.ENVELOPES_REFUSED.inc()
            log.error("envelope refused: message=%s reason=%s", task_name, error)
            return None
        return envelope

    def _claim(self, envelope: Envelope) -> Claim | None:
        try:
            taken = self._runtime.groups.claim(Wanted(envelope.task_id, envelope.step, envelope.step_number))
        except Transient as error:
            raise NotTaken(str(error)) from error
        if taken is None:
            metrics.BELLS_DROPPED.inc()
            self._runtime.unclaimed()
        return taken

    def _admit(self, taken: Claim, quantum_ends: float, loop: StepLoop | None) -> StepRun | None:
        """The run of a claimed step; None where it may not begin, and the task has ended or was given back."""
        reached("claimed", step=taken.step)
        operations = StepOperations(self._runtime.client, taken, self._runtime.groups, self._runtime.mirroring.note)
        try:
            agent, step = _code_of(taken)
            used = taken.spent + taken.reserved
            if taken.undo_step is None:  # what was allowed is taken back, whatever is allowed now
                check_scopes(taken.agent, agent.scopes, taken.identity)
                if error := exhausted_for_step(taken.budget, used):
                    raise error
            arguments = taken.arguments
            if arguments is None:
                if taken.state is None:
                    raise ContextLost(f"The state of step {taken.step} was purged.", step=taken.step)
                arguments = self._arguments(taken, step) | self._handed(taken, step, operations)
        except (Transient, DatabaseAway) as error:
            log.warning("step not started, Postgres cannot be reached: task=%s error=%s", taken.id, error)
            return None
        except (CodeGone, OtherArguments) as error:
            self._refuse(taken, error)
            return None
        except BaseException as error:  # a validator of the user's may raise anything
            self._end_unstarted(taken, error)
            return None
        context = self._context(taken, step, operations)
        operations.context = context
        operations.warn_of_steps()
        run = StepRun(taken, agent, step, arguments, context, operations, quantum_ends, loop if step.is_async else None)
        if (seconds := context.budget.seconds) is not None:
            run.deadline = run.started + seconds
        self._runtime.held.add(run)
        self._runtime.telemetry.started(run)
        self._runtime.mirroring.note(taken.id)
        if run.loop is not None and run.loop.is_abandoned:  # just now: who abandoned it may not have seen this run
            self.give_up([run])
            return None
        return run

    def _settle(self, run: StepRun, outcome: StepOutcome) -> StepRun | None:
        """Commit the outcome and publish it; the next step's run where this worker goes on with it."""
        name, error, next_run = "dropped", None, None
        try:
            if isinstance(outcome, Raised) and (cause := find_cause(outcome.error, (DatabaseAway, LeaseLost))):
                raise cause
            if isinstance(outcome, Stopped) or run.given_up:
                raise LeaseLost("the step was told to stop")
            settled = self._settlement.settle(run, outcome)
            name, error = settled.name, settled.error
            if settled.row["finished_at"] is not None:
                _log_end(settled.row)
            if settled.next_claim is not None:
                next_run = self._admit(settled.next_claim, run.quantum_ends, run.loop)
            else:
                self._publish(settled)
        except (LeaseLost, DatabaseAway) as reason:
            self._drop(run, reason)
        finally:
            self._runtime.held.remove(run)
            self._runtime.telemetry.ended(run, name, error)
        return next_run

    def _publish(self, settled: Settled) -> None:
        reached("committed")
        if settled.is_bell:
            self._runtime.groups.ring(settled.row)
            self._runtime.mirroring.note(settled.row["id"])
        else:
            self._runtime.mirroring.forget(settled.row["id"])
            if settled.others:
                self._runtime.client.publish([settled.row, *settled.others])
            else:
                self._runtime.groups.publish(settled.row)
        reached("published")

    def _arguments(self, taken: Claim, step: Step) -> dict[str, Any]:
        """What the step's state is by its annotations. Of the state of a first step, that its submitter could not
        complete for want of the code, what is made here is kept: the next try is to be given the same."""
        assert taken.state is not None
        if taken.step_number or taken.undo_step is not None or not step.has_made_defaults:
            return step.validate(taken.state)
        text, arguments = step.write(taken.state, limit=self._runtime.settings.payload_limit)
        if payloads.stored(text) != taken.state:
            with self._runtime.client.database.connection() as connection:
                complete_input(connection, taken, text)
        return arguments

    def _handed(self, taken: Claim, step: Step, operations: StepOperations) -> dict[str, Any]:
        """What the step waited for: the outcomes of children, the signals it was sent."""
        handed: dict[str, Any] = {}
        if step.wants:
            with self._runtime.client.database.connection() as connection:
                if "children" in step.wants:
                    rows = outcomes(connection, taken.id, taken.step_number)
                    handed["children"] = child_outcomes(rows, operations.read_results)
                if "signal" in step.wants:
                    found = consumed(connection, taken.id, taken.step_number)
                    handed["signal"] = step.handed_signal(found, every=(taken.awaits or {}).get("mode") == "all")
        if step.is_async and handed.get("children"):
            handed["children"][0].result  # and its neighbours', here, and not on the event loop  # noqa: B018
        return handed

    # --- off the path ---------------------------------------------------------------------------------------

    def _drop(self, run: StepRun, reason: Exception) -> None:
        if run.stopped_at is None and not run.given_up:
            metrics.LEASES_LOST.inc()
            log.warning("outcome dropped: task=%s step=%s reason=%s", run.claim.id, run.claim.step, reason)
        try:
            self._settlement.give_back([run])
        except Transient as error:
            log.warning("lease not released, it will expire: task=%s error=%s", run.claim.id, error)

    def _refuse(self, taken: Claim, error: "CodeGone | OtherArguments") -> None:
        """Give back what the code here cannot take, but that of another release may.

        An input, and what an undo is given, was recorded for no release in particular: it is wrong where no living
        worker has other code. The state of a later step was right for the release that recorded it: it waits for it.
        """
        signature = "" if isinstance(error, CodeGone) else _code_of(taken)[1].signature
        is_untried = taken.step_number == 0 or taken.undo_step is not None
        try:
            row = self._settlement.refuse(taken, error, signature=signature, only_if_served=is_untried)
        except DatabaseAway as reason:
            log.warning("step not given back, its lease will expire: task=%s reason=%s", taken.id, reason)
            return
        if row is None:
            self._end_unstarted(taken, error)
            return
        shown = said(told_of(taken, error))
        log.warning("step given back, this code cannot take it: task=%s step=%s error=%s", taken.id, taken.step, shown)
        metrics.STEPS.labels(taken.agent, taken.step, "given_back").inc()
        self._runtime.mirroring.forget(taken.id)
        self._runtime.client.publisher.show([row])

    def _end_unstarted(self, taken: Claim, error: BaseException, traceback: str | None = None) -> None:
        try:
            settled = self._settlement.end_unstarted(taken, error, traceback)
        except (LeaseLost, DatabaseAway) as reason:
            log.warning("end not recorded, the sweep will do it: task=%s reason=%s", taken.id, reason)
            return
        shown = said(told_of(taken, error))
        log.warning(
            "step refused: task=%s step=%s status=%s error=%s", taken.id, taken.step, settled.row["status"], shown
        )
        metrics.STEPS.labels(taken.agent, taken.step, "refused").inc()
        self._publish(settled)

    def _ring_again(self, envelope: Envelope) -> None:
        """This worker is going, or full: another one is to hear the bell."""
        try:
            with self._runtime.client.database.connection() as connection:
                row = read.find(connection, envelope.task_id)
        except Transient as error:
            log.warning("message not passed on, the sweep sends another: %s", error)
            return
        if row is not None and row["step_number"] == envelope.step_number:
            self._runtime.client.publish([row])

    def _context(self, taken: Claim, step: Step, operations: StepOperations) -> Context | SyncContext:
        kind = Context if step.is_async else SyncContext
        limit = taken.budget
        if taken.undo_step is not None:  # whatever is left of the task's: it is the time of its own that counts
            seconds = taken.spent.seconds + self._runtime.settings.undo_seconds
            limit = dataclasses.replace(limit, seconds=seconds)
        return kind(
            task_id=taken.id,
            agent=taken.agent,
            step=taken.step,
            step_number=taken.step_number,
            attempt=taken.attempt,
            identity=taken.identity,
            session_id=taken.session_id,
            traceparent=taken.row["traceparent"],
            limit=limit,
            spent=taken.spent,
            reserved=taken.reserved,
            operations=operations,
            loop=lambda: self._runtime.loop.loop,
        )

    def fail_overdue(self, run: StepRun) -> None:
        """End the task of a plain step that goes on past its time; called when its slot is given up."""
        run.given_up = True
        self._runtime.held.remove(run)
        if run.deadline is not None and monotonic() > run.deadline:
            self._end_unstarted(run.claim, run.out_of_time())

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
        self._runtime.held.remove(run)
        overdue = run.deadline is not None and monotonic() > run.deadline
        self._end_unstarted(run.claim, run.out_of_time() if overdue else error, stack)
        self._runtime.telemetry.ended(run, "failed", error)

    def give_up(self, runs: Sequence[StepRun]) -> None:
        """Give back the steps of a loop that is no more: they run again elsewhere, or here on the next one."""
        for run in runs:
            run.given_up = True
            self._runtime.held.remove(run)
            self._runtime.telemetry.ended(run, "dropped")
        try:
            self._settlement.give_back(runs)
        except Transient as error:
            log.warning("leases not released, they will expire: tasks=%d error=%s", len(runs), error)


def _log_end(row: Row) -> None:
    what = (row["id"], row["agent"], row["status"], row["step_number"])
    log.info("task finished: task=%s agent=%s status=%s steps=%d", *what)


def _is_async(named: Envelope | Claim) -> bool:
    """Whether the step runs on the loop; False where this worker has no code for it."""
    try:
        agent = find_agent(named.agent)
        step = agent.steps.get(named.step) or agent.runnable.get(named.step)
    except InvalidInput:
        return False
    return step is not None and step.is_async


class CodeGone(ContextLost):
    """The code of the step is not in this process."""


def _code_of(taken: Claim) -> tuple[Agent, Step]:
    """Raises CodeGone."""
    try:
        agent = find_agent(taken.agent)
        return agent, agent.steps.get(taken.step) or agent.runnable.get(taken.step) or agent.find_step(taken.step)
    except InvalidInput as error:
        raise CodeGone(f"The code of {taken.agent}.{taken.step} is gone: {error}", step=taken.step) from None
