"""Admission: from a message to a step that may begin, with its code, its arguments and its context."""

import dataclasses
import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from agent_tasks import metrics
from agent_tasks.authoring.agent import Agent, find_agent
from agent_tasks.authoring.context import Context, SyncContext
from agent_tasks.authoring.handed import child_outcomes
from agent_tasks.authoring.permissions import check_scopes
from agent_tasks.authoring.step import Step
from agent_tasks.client.client import AgentTasks
from agent_tasks.doorbell.envelope import Envelope, ForgedEnvelope, verify
from agent_tasks.engine.batching.combiners import Combiners
from agent_tasks.engine.process.gate import NotTaken
from agent_tasks.engine.process.loop import StepLoop
from agent_tasks.engine.process.loops import Loops
from agent_tasks.engine.steps.operations import StepOperations
from agent_tasks.engine.steps.run import StepRun
from agent_tasks.errors import ContextLost, InvalidInput
from agent_tasks.store.errors import Transient
from agent_tasks.store.queries.children import joined_children
from agent_tasks.task import payloads
from agent_tasks.task.budget import exhausted_for_step
from agent_tasks.transitions.claim import Claim, Wanted
from agent_tasks.transitions.complete_input import complete_input
from agent_tasks.transitions.signal import consumed

log = logging.getLogger(__name__)


class CodeGone(ContextLost):
    """Raised for a step whose code is not in this process."""


def code_of(claim: Claim) -> tuple[Agent, Step]:
    """The agent and the step that a claim names. Raises CodeGone."""
    try:
        agent = find_agent(claim.agent)
        return agent, agent.at(claim.step) or agent.runnable.get(claim.step) or agent.find_step(claim.step)
    except InvalidInput as error:
        raise CodeGone(f"The code of {claim.agent}.{claim.step} is gone: {error}", step=claim.step) from None


def is_async(named: Envelope | Claim) -> bool:
    """Whether the step runs on the loop; False where this worker has no code for it."""
    try:
        agent = find_agent(named.agent)
        step = agent.at(named.step) or agent.runnable.get(named.step)
    except InvalidInput:
        return False
    return step is not None and step.is_async


class Admission:
    """Verifies a message, claims its step and admits it: one method each, to be called in this order."""

    def __init__(
        self,
        client: AgentTasks,
        combiners: Combiners,
        loops: Loops,
        *,
        changed: Callable[[UUID], None],
        unclaimed: Callable[[], None],
        operations: Callable[..., StepOperations] = StepOperations,
    ) -> None:
        """`changed` is called after each write that an observer can see, `unclaimed` for each message in vain.

        `operations` makes those of each step.
        """
        self._client = client
        self._settings = client.settings
        self._combiners = combiners
        self._loops = loops
        self._changed = changed
        self._unclaimed = unclaimed
        self._operations = operations

    def verify(self, sealed: Any, task_name: str) -> Envelope | None:
        """Open the envelope of a message; None where it is forged, or another message's."""
        try:
            envelope = verify(sealed, *self._client.publisher.keys)
            if envelope.task_name != task_name:
                raise ForgedEnvelope(f"it is for {envelope.task_name}, the message for {task_name}")
        except ForgedEnvelope as error:
            metrics.ENVELOPES_REFUSED.inc()
            log.error("envelope refused: message=%s reason=%s", task_name, error)
            return None
        return envelope

    def claim(self, envelope: Envelope) -> Claim | None:
        """Claim the step; None where it is not to be had. Raises NotTaken where Postgres could not be asked."""
        try:
            claim = self._combiners.claim(Wanted(envelope.task_id, envelope.step, envelope.step_number))
        except Transient as error:
            raise NotTaken(str(error)) from error
        if claim is None:
            metrics.BELLS_DROPPED.inc()
            self._unclaimed()
        return claim

    def admit(self, claim: Claim, quantum_ends: float, loop: StepLoop | None) -> StepRun:
        """Make the run of a claimed step.

        Raises what keeps it from beginning: CodeGone, OtherArguments, another AgentTaskError, Transient or
        DatabaseAway where Postgres is away, anything that a validator of the user's may raise.
        """
        operations = self._operations(self._client, claim, self._combiners, self._changed)
        agent, step = code_of(claim)
        used = claim.spent + claim.reserved
        if claim.undo_step is None:  # what was allowed is taken back, whatever is allowed now
            check_scopes(claim.agent, agent.scopes, claim.identity)
            if error := exhausted_for_step(claim.budget, used):
                raise error
        arguments = claim.arguments
        if arguments is None:
            if claim.state is None:
                raise ContextLost(f"The state of step {claim.step} was purged.", step=claim.step)
            arguments = self._arguments(claim, step) | self._handed(claim, step, operations)
        context = operations.context = self._context(claim, step, operations)
        run = StepRun(claim, agent, step, arguments, context, operations, quantum_ends, loop if step.is_async else None)
        if (seconds := context.budget.seconds) is not None:
            run.deadline = run.started + seconds
        self._changed(claim.id)
        return run

    def _arguments(self, claim: Claim, step: Step) -> dict[str, Any]:
        """What the step's state is by its annotations. Of the state of a first step, that its submitter could not
        complete for want of the code, what is made here is kept: the next try is to be given the same."""
        assert claim.state is not None
        if claim.step_number or claim.undo_step is not None or not step.has_made_defaults or step.now is not None:
            return step.bind(claim.state)
        text, arguments = step.write(step.migrated(claim.state), limit=self._settings.payload_limit)
        if payloads.stored(text) != claim.state:
            with self._client.database.connection() as connection:
                complete_input(connection, claim, text)
        return arguments

    def _handed(self, claim: Claim, step: Step, operations: StepOperations) -> dict[str, Any]:
        """What the step waited for: its children, the signals it was sent."""
        handed: dict[str, Any] = {}
        if step.wants:
            with self._client.database.connection() as connection:
                if "children" in step.wants:
                    rows = joined_children(connection, claim.id, claim.step_number)
                    handed["children"] = child_outcomes(rows, operations.read_results)
                if "signal" in step.wants:
                    found = consumed(connection, claim.id, claim.step_number)
                    handed["signal"] = step.handed_signal(found, every=(claim.awaits or {}).get("mode") == "all")
        if step.is_async and handed.get("children"):
            handed["children"][0].result  # and its neighbours', here, and not on the event loop  # noqa: B018
        return handed

    def _context(self, claim: Claim, step: Step, operations: StepOperations) -> Context | SyncContext:
        kind = Context if step.is_async else SyncContext
        limit = claim.budget
        if claim.undo_step is not None:  # whatever is left of the task's: it is the time of its own that counts
            seconds = claim.spent.seconds + self._settings.undo_seconds
            limit = dataclasses.replace(limit, seconds=seconds)
        return kind(
            task_id=claim.id,
            agent=claim.agent,
            step=claim.step,
            step_number=claim.step_number,
            attempt=claim.attempt,
            identity=claim.identity,
            session_id=claim.session_id,
            traceparent=claim.row["traceparent"],
            limit=limit,
            spent=claim.spent,
            reserved=claim.reserved,
            held=claim.held,
            operations=operations,
            loop=lambda: self._loops.current.loop,
        )
