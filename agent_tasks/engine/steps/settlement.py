"""Settling a run: what a step's outcome means, and the one transition that commits it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from traceback import format_tb
from typing import TYPE_CHECKING, TypeVar

from agent_tasks.authoring.directives import Done, FanOut, Next, Partial, Sleep, StepRef, Wait
from agent_tasks.authoring.retry import Retry
from agent_tasks.authoring.step import Step
from agent_tasks.engine.steps.decision import NOT_SHOWN, EndWith, RetryAfter, decide
from agent_tasks.engine.steps.operations import DatabaseAway
from agent_tasks.engine.steps.run import Raised, Returned, StepRun
from agent_tasks.engine.steps.spawning import Family
from agent_tasks.errors import AgentTaskError, ErrorInfo, LeaseLost, PartialCompletion, StepFailed
from agent_tasks.moments import reached
from agent_tasks.storable import storable
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Transient
from agent_tasks.store.rows import Row
from agent_tasks.task import payloads
from agent_tasks.transitions.acquit import acquit
from agent_tasks.transitions.cancel import lock_above
from agent_tasks.transitions.checkpoint import Committed, StepCommit
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.complete import Finish
from agent_tasks.transitions.fail import fail
from agent_tasks.transitions.fan_out import fan_out
from agent_tasks.transitions.fence import lock_held
from agent_tasks.transitions.join import join
from agent_tasks.transitions.refuse import refuse as refuse_step
from agent_tasks.transitions.release import release
from agent_tasks.transitions.retry import retry
from agent_tasks.transitions.signal import inbox, refuse
from agent_tasks.transitions.undo import Undoing, undone
from agent_tasks.transitions.wait import sleep as sleep_until
from agent_tasks.transitions.wait import wait

if TYPE_CHECKING:
    from agent_tasks.engine.process.runtime import Runtime

log = logging.getLogger(__name__)
T = TypeVar("T")
_SLOWEST_SECONDS = 1.0
_ONCE = Retry()


@dataclass(frozen=True, slots=True)
class Settled:
    """A committed outcome: the task's row as it is now, and what else the commit changed."""

    row: Row
    name: str
    """succeeded, retried or failed."""
    error: BaseException | None = None
    next_claim: Claim | None = None
    """The claim to go on with in place, if any."""
    others: Sequence[Row] = ()
    """Children that were spawned, parents that were joined."""
    is_bell: bool = False
    """The row has no more than a bell tells: the step was handed over."""


class Settlement:
    """Maps outcomes to transitions. While Postgres is away it tries again for as long as the lease may last."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._settings = runtime.settings
        self._family = Family(runtime.client)

    def settle(self, run: StepRun, outcome: Returned | Raised) -> Settled:
        """Commit the outcome. Raises LeaseLost, or DatabaseAway when Postgres stayed away."""
        reached("returned", step=run.claim.step)
        if isinstance(outcome, Raised):
            return self._raised(run, outcome.error)
        if run.claim.undo_step is not None:
            return self._undone(run, None)
        try:
            return self._returned(run, outcome.value)
        except (LeaseLost, DatabaseAway):
            raise
        except BaseException as error:  # what it returned cannot be committed, or a validator of the user's failed
            return self._raised(run, error)

    def end_unstarted(self, claim: Claim, error: BaseException, traceback: str | None = None) -> Settled:
        """End a task whose step may not begin, or not go on. Raises LeaseLost, DatabaseAway."""
        end = _end_with(error, claim)
        info = end.error
        if claim.undo_step is not None:
            return self._end(
                claim,
                lambda c: undone(
                    c,
                    Undoing.from_row(claim.row),
                    failure=_of_undo(info, claim),
                    ring_seconds=self._settings.ring_seconds,
                ),
                "failed",
                error,
            )
        trace = traceback or end.traceback
        return self._end(claim, lambda connection: fail(connection, claim, info, traceback=trace), "failed", error)

    def refuse(self, claim: Claim, error: AgentTaskError, *, signature: str, only_if_served: bool) -> Row | None:
        """Give back a step that the code here cannot take; None as `transitions.refuse`. Raises DatabaseAway."""
        why = str(error)
        if claim.row["sensitive"]:
            why = f"{claim.agent}.{claim.step} takes other arguments ({NOT_SHOWN})"
        return self._alone(
            lambda c: refuse_step(
                c,
                claim,
                why,
                signature=signature,
                only_if_served=only_if_served,
                lease_seconds=self._settings.lease_seconds,
            )
        )

    def give_back(self, runs: Sequence[StepRun]) -> None:
        """Release what may still be ours after outcomes were dropped, so that nobody waits for the lease."""
        with self._runtime.client.database.connection() as connection:
            held = [(run.claim.id, run.claim.run) for run in runs]
            rows = release(connection, held, ring_seconds=self._settings.ring_seconds)
            if len(rows) < len(held):
                acquit(connection, held)
        self._runtime.client.publish(rows)

    # --- what a step returned -------------------------------------------------------------------------------

    def _returned(self, run: StepRun, value: object) -> Settled:
        match value:
            case Next():
                return self._next(run, value)
            case Wait():
                return self._wait(run, value)
            case Sleep():
                committed, _ = self._committed(run, value.then, value.state)
                row = self._alone(
                    lambda c: sleep_until(c, run.claim, committed, seconds=value.seconds, until=value.until)
                )
                return Settled(row, "succeeded")
            case FanOut():
                return self._fan_out(run, value)
            case Partial():
                return self._complete(run, value.result, PartialCompletion(value.reason))
            case Done():
                return self._complete(run, value.result, None)
            case _:
                return self._complete(run, value, None)

    def _complete(self, run: StepRun, result: object, shortfall: PartialCompletion | None) -> Settled:
        text = payloads.encode_outcome(result, "result", limit=self._settings.payload_limit)
        progress = run.operations.take_progress()
        info = None
        if shortfall is not None:
            info = shortfall.info.model_copy(update={"checkpoint": run.claim.step_number or None})
        finish = Finish(run.claim, text, run.seconds, progress, info)
        if run.claim.row["parent_id"] is None:
            return Settled(self._persistently(lambda: self._runtime.groups.complete(finish)), "succeeded")
        row, others = self._persistently(lambda: self._runtime.groups.complete_child(finish))
        return Settled(row, "succeeded", others=others)

    def _next(self, run: StepRun, directive: Next) -> Settled:
        committed, step = self._committed(run, directive.then, directive.state)
        in_place = self._goes_on(run, step)
        row = self._checkpoint(run, committed, in_place=in_place)
        if in_place:
            return Settled(row, "succeeded", next_claim=run.claim.followed_by(row, committed.arguments))
        return Settled(row, "succeeded", is_bell=True)

    def _checkpoint(self, run: StepRun, committed: Committed, *, in_place: bool) -> Row:
        step = StepCommit(run.claim, committed, in_place)
        return self._persistently(lambda: self._runtime.groups.checkpoint(step))

    def _wait(self, run: StepRun, directive: Wait) -> Settled:
        committed, step = self._committed(run, directive.then, directive.state)
        on_timeout = None
        if directive.on_timeout is not None:
            other = run.agent.find_step(directive.on_timeout)
            other.validate(payloads.stored(committed.state))
            on_timeout = other.name

        def refuse_and_wait(connection: Connection) -> Row:
            lock_held(connection, run.claim)
            for kept in inbox(connection, run.claim.id, directive.names):
                if why := step.refusal(kept["payload"]):
                    refuse(connection, run.claim.id, kept["seq"], NOT_SHOWN if run.claim.row["sensitive"] else why)
            row = wait(
                connection,
                run.claim,
                committed,
                directive.names,
                all_of_them=directive.all,
                timeout=directive.timeout,
                on_timeout=on_timeout,
                ring_seconds=self._settings.ring_seconds,
            )
            reached("written")
            return row

        return Settled(self._transaction(refuse_and_wait), "succeeded")

    def _fan_out(self, run: StepRun, directive: FanOut) -> Settled:
        if not directive.children:
            committed, _ = self._committed(run, directive.then, directive.state)
            row = self._checkpoint(run, committed, in_place=False)
            return Settled(row, "succeeded", is_bell=True)
        committed, _ = self._committed(run, directive.then, directive.state)
        spawned = self._family.spawn(run, directive)

        def spawn(connection: Connection) -> tuple[Row, list[Row]]:
            family = fan_out(
                connection,
                run.claim,
                committed,
                spawned.children,
                on_child_failure=directive.on_child_failure,
                reserve_seconds=spawned.reserve_seconds,
                clamped=spawned.clamped,
                ring_seconds=self._settings.ring_seconds,
            )
            reached("written")
            return family

        parent, children = self._transaction(spawn)
        return Settled(parent, "succeeded", others=children)

    def _committed(self, run: StepRun, then: StepRef, state: dict[str, object]) -> tuple[Committed, Step]:
        """What the step leaves behind, checked. Raises InvalidInput, PayloadTooLarge."""
        step = run.agent.find_step(then)
        what = f"state of step {step.name}"
        text, arguments = step.write(state, what, limit=self._settings.payload_limit)
        progress, undoable = run.operations.take_progress(), run.step.undo is not None
        return Committed(step.name, text, run.seconds, progress, undoable=undoable, arguments=arguments), step

    def _goes_on(self, run: StepRun, step: Step) -> bool:
        """Whether this worker runs the next step itself: within its quantum, and in the same place."""
        return (
            step.is_async == run.step.is_async
            and not step.wants
            and monotonic() < run.quantum_ends
            and not self._runtime.draining
            and run.stopped_at is None
            and not (run.loop is not None and run.loop.is_abandoned)
        )

    # --- what a step raised ---------------------------------------------------------------------------------

    def _raised(self, run: StepRun, error: BaseException) -> Settled:
        claim, calls = run.claim, run.operations.judge(error)
        decision = _decide(error, run.step.retry, claim)
        if isinstance(decision, RetryAfter):
            again, progress = decision, run.operations.take_progress()
            row = self._alone(lambda c: retry(c, claim, again.error, again.seconds, progress=progress, calls=calls))
            return Settled(row, "retried", error)
        if claim.undo_step is not None:
            return self._undone(run, error)
        info, traceback = decision.error, decision.traceback
        return self._end(claim, lambda c: fail(c, claim, info, traceback=traceback, calls=calls), "failed", error)

    def _undone(self, run: StepRun, error: BaseException | None) -> Settled:
        claim = run.claim
        failure = None
        if error is not None:
            failure = _of_undo(_decide(error, run.step.retry, claim).error, claim)
        undoing = Undoing.from_row(claim.row)
        name = "succeeded" if error is None else "failed"
        return self._end(
            claim,
            lambda c: undone(c, undoing, failure=failure, ring_seconds=self._settings.ring_seconds),
            name,
            error,
        )

    # --- committing -----------------------------------------------------------------------------------------

    def _end(
        self, claim: Claim, transition: Callable[[Connection], Row], name: str, error: BaseException | None = None
    ) -> Settled:
        """A transition that may end the task; its parent learns of it in the same commit."""
        if claim.row["parent_id"] is None:
            return Settled(self._alone(transition), name, error)

        def end_and_join(connection: Connection) -> tuple[Row, list[Row]]:
            lock_above(connection, [claim.id])
            row = transition(connection)
            reached("halfway")
            others = join(connection, [row], ring_seconds=self._settings.ring_seconds)
            reached("written", joined=others)
            return row, others

        row, others = self._transaction(end_and_join)
        return Settled(row, name, error, others=others)

    def _transaction(self, transition: Callable[[Connection], T]) -> T:
        def run(connection: Connection) -> T:
            with connection.transaction():
                return transition(connection)

        return self._alone(run)

    def _alone(self, transition: Callable[[Connection], T]) -> T:
        """Run a fenced transition that goes in no group."""

        def run() -> T:
            with self._runtime.client.database.connection() as connection:
                return transition(connection)

        return self._persistently(run)

    def _persistently(self, commit: Callable[[], T]) -> T:
        """Commit by a fenced transition. A COMMIT whose reply was lost may have happened: the fence makes it safe to
        repeat, and then it raises LeaseLost. A deadlock that Postgres resolved is repeated, too."""
        until = monotonic() + self._settings.lease_seconds
        wait = 0.05
        while True:
            try:
                return commit()
            except Transient as error:
                if monotonic() > until:
                    raise DatabaseAway(str(error)) from error
                sleep(wait)
                wait = min(wait * 2, _SLOWEST_SECONDS)


def _decide(error: BaseException, retry: Retry, claim: Claim) -> RetryAfter | EndWith:
    """What becomes of a step that raised, also where its exception is too broken to be looked at."""
    try:
        return decide(error, retry, claim.failures + 1, claim.step, claim.step_number)
    except Exception as broken:
        kind = type(error).__qualname__
        said = f"Step {claim.step} failed: {kind}, which cannot be shown: {type(broken).__name__}"
        info = StepFailed(said, exception=kind, step=claim.step).info
        trace = storable("".join(format_tb(error.__traceback__)))
        return EndWith(info.model_copy(update={"checkpoint": claim.step_number or None}), trace)


def _of_undo(failure: ErrorInfo, claim: Claim) -> ErrorInfo:
    """Why an undo was given up, as its task's history and error will say."""
    if not claim.row["sensitive"]:
        return failure
    return failure.model_copy(update={"message": f"{failure.type} ({NOT_SHOWN})"})


def _end_with(error: BaseException, claim: Claim) -> EndWith:
    decision = _decide(error, _ONCE, claim)
    assert isinstance(decision, EndWith)
    return decision
