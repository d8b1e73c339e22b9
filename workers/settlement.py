"""Settling a run: what a step's outcome means, and the one transition that commits it."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic, sleep
from typing import TYPE_CHECKING

from agent_tasks import payloads
from agent_tasks.agents import Step
from agent_tasks.database import Connection
from agent_tasks.directives import Done, Next
from agent_tasks.errors import AgentTaskError
from agent_tasks.snapshots import spend_of
from agent_tasks.transitions.checkpoint import checkpoint
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.complete import complete
from agent_tasks.transitions.fail import fail
from agent_tasks.transitions.release import release
from agent_tasks.transitions.retry import retry
from agent_tasks.transitions.rows import Row
from workers.operations import DATABASE_AWAY, DatabaseAway
from workers.policy import RetryAfter, decide, told_by
from workers.run import Raised, Returned, StepRun

if TYPE_CHECKING:
    from workers.runtime import Runtime

log = logging.getLogger(__name__)
_SLOWEST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Settled:
    """A committed outcome: the row as it is now, and the claim to go on with in place, if any."""

    row: Row
    name: str
    """succeeded, retried or failed."""
    error: BaseException | None = None
    next_claim: Claim | None = None


class Settlement:
    """Maps outcomes to transitions. While Postgres is away it tries again for as long as the lease may last."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    def settle(self, run: StepRun, outcome: Returned | Raised) -> Settled:
        """Commit the outcome. Raises LeaseLost, or DatabaseAway when Postgres stayed away."""
        if isinstance(outcome, Raised):
            return self._raised(run, outcome.error)
        try:
            return self._returned(run, outcome.value)
        except AgentTaskError as error:  # what it returned cannot be committed
            return self._raised(run, error)

    def end_unstarted(self, claim: Claim, error: AgentTaskError) -> Row:
        """End a task whose step may not begin. Raises LeaseLost, DatabaseAway."""
        info = error.info.model_copy(update={"checkpoint": claim.step_number or None})
        return self._persistently(lambda connection: fail(connection, claim, info))

    def give_back(self, run: StepRun) -> None:
        """Release what may still be ours after an outcome was dropped, so that nobody waits for the lease."""
        with self._runtime.client.database.connection() as connection:
            held = [(run.claim.id, run.claim.run)]
            rows = release(connection, held, ring_seconds=self._runtime.settings.ring_seconds)
        self._runtime.client.publish(rows)

    def _returned(self, run: StepRun, value: object) -> Settled:
        if isinstance(value, Next):
            return self._next(run, value)
        result = value.result if isinstance(value, Done) else value
        text = payloads.encode_outcome(result, "result", limit=self._runtime.settings.payload_limit)
        progress = run.operations.take_progress()
        row = self._persistently(
            lambda connection: complete(connection, run.claim, text, seconds=run.seconds, progress=progress)
        )
        return Settled(row, "succeeded")

    def _next(self, run: StepRun, directive: Next) -> Settled:
        settings = self._runtime.settings
        step = run.agent.find_step(directive.step)
        state = step.canonical(directive.state)
        text = payloads.encode_outcome(state, f"state of step {step.name}", limit=settings.payload_limit)
        in_place = self._goes_on(run, step)
        progress = run.operations.take_progress()
        row = self._persistently(
            lambda connection: checkpoint(
                connection,
                run.claim,
                step.name,
                text,
                in_place=in_place,
                seconds=run.seconds,
                progress=progress,
                ring_seconds=settings.ring_seconds,
            )
        )
        return Settled(row, "succeeded", next_claim=_next_claim(run.claim, row, text) if in_place else None)

    def _goes_on(self, run: StepRun, step: Step) -> bool:
        """Whether this worker runs the next step itself: within its quantum, and in the same place."""
        return (
            step.is_async == run.step.is_async
            and monotonic() < run.quantum_ends
            and not self._runtime.draining
            and run.stopped_at is None
        )

    def _raised(self, run: StepRun, error: BaseException) -> Settled:
        claim, error = run.claim, told_by(error)
        decision = decide(error, run.step.retry, claim.failures + 1, claim.step, claim.step_number)
        if isinstance(decision, RetryAfter):
            again, progress = decision, run.operations.take_progress()
            row = self._persistently(
                lambda connection: retry(connection, claim, again.error, again.seconds, progress=progress)
            )
            return Settled(row, "retried", error)
        end = decision
        row = self._persistently(lambda connection: fail(connection, claim, end.error, traceback=end.traceback))
        log.warning("task ended: task=%s step=%s status=%s error=%s", claim.id, claim.step, row["status"], error)
        return Settled(row, "failed", error)

    def _persistently(self, transition: Callable[[Connection], Row]) -> Row:
        """Run a fenced transition. A COMMIT whose reply was lost may have happened: the fence makes it safe to
        repeat, and then it raises LeaseLost."""
        until = monotonic() + self._runtime.settings.lease_seconds
        wait = 0.05
        while True:
            try:
                with self._runtime.client.database.connection() as connection:
                    return transition(connection)
            except DATABASE_AWAY as error:
                if monotonic() > until:
                    raise DatabaseAway(str(error)) from error
                sleep(wait)
                wait = min(wait * 2, _SLOWEST_SECONDS)


def _next_claim(claim: Claim, row: Row, state: str) -> Claim:
    return replace(
        claim,
        step=row["step"],
        step_number=row["step_number"],
        attempt=row["attempt"],
        failures=0,
        spent=spend_of(row),
        state=json.loads(state),
        repeated=False,
        row=row,
    )
