"""The executor: verify, claim, admit, invoke, settle, publish."""

import asyncio
import logging
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from agent_tasks import metrics
from agent_tasks.agents import Agent, find_agent
from agent_tasks.budgets import exhausted_for_step
from agent_tasks.context import Context, SyncContext
from agent_tasks.database_errors import Transient
from agent_tasks.envelope import Envelope, ForgedEnvelope, verify
from agent_tasks.errors import AgentTaskError, ContextLost, InvalidInput, LeaseLost
from agent_tasks.outcomes import child_outcome
from agent_tasks.steps import Step
from agent_tasks.transitions import read
from agent_tasks.transitions.children import outcomes
from agent_tasks.transitions.claim import Claim, Wanted
from agent_tasks.transitions.rows import Row
from agent_tasks.transitions.signal import consumed
from workers.invocation import invoke_async, invoke_plain
from workers.operations import DatabaseAway, StepOperations
from workers.policy import find_cause
from workers.run import Raised, StepOutcome, StepRun, Stopped
from workers.settlement import Settled, Settlement

if TYPE_CHECKING:
    from workers.runtime import Runtime

log = logging.getLogger(__name__)
_PASS_ON_SECONDS = 0.5


class Executor:
    """Runs the steps of one process. Each phase is a method; a transition in Postgres stands between them."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._settlement = Settlement(runtime)

    def deliver(self, sealed: Any, task_name: str) -> None:
        """A bell rang: run the step it names, and those that follow in place. Called in a pool slot."""
        envelope = self._verify(sealed, task_name)
        if envelope is None:
            return
        with self._runtime.held.arriving():
            if self._runtime.draining:
                self._ring_again(envelope)
                return
            taken = self._claim(envelope)
            run = self._admit(taken, monotonic() + self._runtime.settings.quantum_seconds) if taken else None
        if run is not None and run.step.is_async:
            admitted = run
            self._runtime.loop.start(lambda: self._run_async(admitted))
            return
        while run is not None:
            run = self._settle(run, invoke_plain(run))

    async def _run_async(self, first: StepRun) -> None:
        loop = asyncio.get_running_loop()
        run: StepRun | None = first
        while run is not None:
            outcome = await invoke_async(run, self._runtime.settings.overrun_seconds)
            run = await loop.run_in_executor(self._runtime.loop.database_threads, self._settle, run, outcome)

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
            log.warning("not claimed, postgres is away; the sweep rings again: %s", error)
            return None
        if taken is None:
            metrics.BELLS_DROPPED.inc()
        return taken

    def _admit(self, taken: Claim, quantum_ends: float) -> StepRun | None:
        """The run of a claimed step; None where it may not begin, and the task has ended."""
        try:
            agent, step = _code_of(taken)
            used = taken.spent + taken.reserved
            if taken.undo_step is None and (error := exhausted_for_step(taken.budget, used)):
                raise error
            if taken.state is None:
                raise ContextLost(f"The state of step {taken.step} was purged.", step=taken.step)
            arguments = step.validate(taken.state) | self._handed(taken, step)
        except AgentTaskError as error:
            self._end_unstarted(taken, error)
            return None
        except Transient as error:
            log.warning("not begun, postgres is away; the lease expires: task=%s %s", taken.id, error)
            return None
        operations = StepOperations(self._runtime.client, taken, self._runtime.groups, self._runtime.mirroring.note)
        context = self._context(taken, step, operations)
        operations.context = context
        operations.warn_of_steps()
        run = StepRun(taken, agent, step, arguments, context, operations, quantum_ends)
        if taken.budget.seconds is not None and taken.undo_step is None:
            run.deadline = run.started + (context.budget.seconds or 0.0)
        self._runtime.held.add(run)
        self._runtime.telemetry.started(run)
        self._runtime.mirroring.note(taken.id)
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
                next_run = self._admit(settled.next_claim, run.quantum_ends)
            else:
                self._publish(settled)
        except (LeaseLost, DatabaseAway) as reason:
            self._drop(run, reason)
        finally:
            self._runtime.held.remove(run)
            self._runtime.telemetry.ended(run, name, error)
        return next_run

    def _publish(self, settled: Settled) -> None:
        if settled.is_bell:
            self._runtime.groups.ring(settled.row)
            self._runtime.mirroring.note(settled.row["id"])
            return
        self._runtime.mirroring.forget(settled.row["id"])
        if settled.others or settled.stop:
            self._runtime.client.publish([settled.row, *settled.others], stop=settled.stop)
        else:
            self._runtime.groups.publish(settled.row)

    def _handed(self, taken: Claim, step: Step) -> dict[str, Any]:
        """What the step waited for: the outcomes of children, the signals it was sent."""
        handed: dict[str, Any] = {}
        if step.wants:
            with self._runtime.client.database.connection() as connection:
                if "children" in step.wants:
                    handed["children"] = [
                        child_outcome(row) for row in outcomes(connection, taken.id, taken.step_number)
                    ]
                if "signal" in step.wants:
                    found = consumed(connection, taken.id, taken.step_number)
                    handed["signal"] = step.handed_signal(found, every=(taken.awaits or {}).get("mode") == "all")
        return handed

    # --- off the path ---------------------------------------------------------------------------------------

    def _drop(self, run: StepRun, reason: Exception) -> None:
        if run.stopped_at is None and not run.given_up:
            metrics.LEASES_LOST.inc()
            log.warning("outcome dropped: task=%s step=%s reason=%s", run.claim.id, run.claim.step, reason)
        try:
            self._settlement.give_back(run)
        except Transient as error:
            log.warning("not given back, the lease expires: task=%s %s", run.claim.id, error)

    def _end_unstarted(self, taken: Claim, error: AgentTaskError) -> None:
        try:
            settled = self._settlement.end_unstarted(taken, error)
        except (LeaseLost, DatabaseAway) as reason:
            log.warning("not ended, the sweep takes it: task=%s reason=%s", taken.id, reason)
            return
        log.warning(
            "task ended: task=%s step=%s status=%s error=%s", taken.id, taken.step, settled.row["status"], error
        )
        metrics.STEPS.labels(taken.agent, taken.step, "refused").inc()
        self._publish(settled)

    def _ring_again(self, envelope: Envelope) -> None:
        """This worker is going: another one is to hear the bell, and not this one at once again."""
        threading.Event().wait(_PASS_ON_SECONDS)
        try:
            with self._runtime.client.database.connection() as connection:
                row = read.find(connection, envelope.task_id)
        except Transient as error:
            log.warning("bell not passed on, the sweep rings again: %s", error)
            return
        if row is not None and row["step_number"] == envelope.step_number:
            self._runtime.client.publish([row])

    def _context(self, taken: Claim, step: Step, operations: StepOperations) -> Context | SyncContext:
        kind = Context if step.is_async else SyncContext
        return kind(
            task_id=taken.id,
            agent=taken.agent,
            step=taken.step,
            step_number=taken.step_number,
            attempt=taken.attempt,
            identity=taken.identity,
            session_id=taken.session_id,
            traceparent=taken.row["traceparent"],
            limit=taken.budget,
            spent=taken.spent,
            reserved=taken.reserved,
            operations=operations,
            loop=self._runtime.loop.loop,
        )

    def fail_overdue(self, run: StepRun) -> None:
        """End the task of a plain step that goes on past its time; called when its slot is given up."""
        run.given_up = True
        self._runtime.held.remove(run)
        error = exhausted_for_step(run.claim.budget, run.context.spent)
        if error is not None:
            self._end_unstarted(run.claim, error)


def _log_end(row: Row) -> None:
    what = (row["id"], row["agent"], row["status"], row["step_number"])
    log.info("finished: task=%s agent=%s status=%s steps=%d", *what)


def _code_of(taken: Claim) -> tuple[Agent, Step]:
    """Raises ContextLost where the code of the step is gone."""
    try:
        agent = find_agent(taken.agent)
        return agent, agent.steps.get(taken.step) or agent.runnable.get(taken.step) or agent.find_step(taken.step)
    except InvalidInput as error:
        raise ContextLost(f"The code of {taken.agent}.{taken.step} is gone: {error}", step=taken.step) from None
