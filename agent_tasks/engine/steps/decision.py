"""What becomes of a step, decided from its result: no I/O, nothing is committed here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic
from traceback import format_tb
from typing import cast

from agent_tasks.authoring.directives import Done, FanOut, Next, Partial, Sleep, StepRef, Wait
from agent_tasks.authoring.retry import Retry
from agent_tasks.authoring.step import Step
from agent_tasks.engine.steps.operations import DatabaseAway
from agent_tasks.engine.steps.raised import NOT_SHOWN, describe, find_cause, formatted, root_error
from agent_tasks.engine.steps.run import Parked, Raised, StepResult, StepRun, Stopped
from agent_tasks.errors import ErrorInfo, LeaseLost, PartialCompletion, StepFailed
from agent_tasks.storable import storable
from agent_tasks.task import payloads
from agent_tasks.transitions.checkpoint import Committed, StepCommit
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.complete import Finish
from agent_tasks.transitions.ledger import RecordedCall
from agent_tasks.transitions.open_wait import OpenWait

_LONGEST_TRACEBACK = 20_000
_ONCE = Retry()


@dataclass(frozen=True, slots=True)
class WaitForSignals:
    """A decision to wait for the signals of the directive, for `step`, or without them for the step `on_timeout`."""

    committed: Committed
    directive: Wait
    step: Step
    on_timeout: str | None
    wait_ids: dict[str, str]


@dataclass(frozen=True, slots=True)
class SleepUntil:
    """A decision to wait for a timer."""

    committed: Committed
    directive: Sleep


@dataclass(frozen=True, slots=True)
class ParkFor:
    """A decision to park the step itself, which runs again when one of its waits may be over."""

    waits: Sequence[OpenWait]
    progress: str | None


@dataclass(frozen=True, slots=True)
class Spawn:
    """A decision to wait for children, which share what is left of the task."""

    committed: Committed
    directive: FanOut
    seconds: float
    """The seconds spent, with those of the run."""


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """A decision to run the step again after so many seconds."""

    seconds: float
    error: ErrorInfo
    cause: BaseException
    progress: str | None = None
    calls: Sequence[RecordedCall] = ()
    """Recorded calls that the next try makes again, or need not make."""


@dataclass(frozen=True, slots=True)
class EndWith:
    """A decision to end the task with this error; the traceback stays in the database."""

    error: ErrorInfo
    traceback: str
    cause: BaseException
    calls: Sequence[RecordedCall] = ()


@dataclass(frozen=True, slots=True)
class Undone:
    """A decision that the undo function of a step is done, or, with a failure, given up."""

    failure: ErrorInfo | None = None
    cause: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """A decision to commit nothing: another run owns the step, or Postgres did not answer while it ran."""

    reason: Exception


OfReturned = StepCommit | Finish | WaitForSignals | SleepUntil | Spawn | ParkFor
"""Decisions on a step that returned, or waits. Their commit may be refused: by its budget, or since children cannot be
made."""
Decision = OfReturned | RetryAfter | EndWith | Undone | Drop


def decide(run: StepRun, result: StepResult, *, limit: int, draining: bool) -> Decision:
    """Decide what is to be committed. `limit` bounds payloads; a draining process goes on with no step in place."""
    if isinstance(result, Raised) and (cause := find_cause(result.error, (DatabaseAway, LeaseLost))):
        return Drop(cause)
    if isinstance(result, Stopped) or run.given_up:
        return Drop(LeaseLost("the step was told to stop"))
    if isinstance(result, Raised):
        return decide_failure(run, result.error)
    if isinstance(result, Parked):
        return ParkFor(run.operations.opened(result.waits), run.operations.take_progress())
    if run.claim.undo_step is not None:
        return Undone()
    try:
        return _decide_returned(run, result.value, limit, draining)
    except (LeaseLost, DatabaseAway) as reason:
        return Drop(reason)
    except BaseException as error:  # what it returned cannot be stored, or a validator of the user's failed
        return decide_failure(run, error)


def decide_failure(run: StepRun, error: BaseException) -> RetryAfter | EndWith | Undone:
    """Decide what becomes of a step that raised, or whose result was refused."""
    claim, calls = run.claim, run.operations.judge(error)
    decision = _judge_safely(error, run.step.retry, claim)
    if isinstance(decision, RetryAfter):
        return replace(decision, progress=run.operations.take_progress(), calls=calls)
    if claim.undo_step is not None:
        return Undone(_of_undo(decision.error, claim), error)
    return replace(decision, calls=calls)


def decide_unstarted(claim: Claim, error: BaseException, traceback: str | None = None) -> EndWith | Undone:
    """Decide what becomes of a step that may not begin, or not go on: there is no other try."""
    decision = cast(EndWith, _judge_safely(error, _ONCE, claim))
    if claim.undo_step is not None:
        return Undone(_of_undo(decision.error, claim), error)
    return replace(decision, traceback=traceback or decision.traceback)


def judge(error: BaseException, retry: Retry, failures: int, step: str, step_number: int) -> RetryAfter | EndWith:
    """Decide whether a step that raised is tried again. `failures` counts this one."""
    info = describe(root_error(error), step, step_number)
    delay = retry.delay(error, failures)
    if delay is not None:
        return RetryAfter(delay, info, error)
    return EndWith(info, storable(formatted(error)[-_LONGEST_TRACEBACK:]), error)


def _judge_safely(error: BaseException, retry: Retry, claim: Claim) -> RetryAfter | EndWith:
    """Decide as `judge` does, also where the exception is too broken to be looked at."""
    try:
        return judge(error, retry, claim.failures + 1, claim.step, claim.step_number)
    except Exception as broken:
        kind = type(error).__qualname__
        said = f"Step {claim.step} failed: {kind}, which cannot be shown: {type(broken).__name__}"
        info = StepFailed(said, exception=kind, step=claim.step).info
        trace = storable("".join(format_tb(error.__traceback__)))
        return EndWith(info.model_copy(update={"checkpoint": claim.step_number or None}), trace, error)


def _of_undo(failure: ErrorInfo, claim: Claim) -> ErrorInfo:
    """The error of an undo that was given up, as its task's history and error may show it."""
    if not claim.row["sensitive"]:
        return failure
    return failure.model_copy(update={"message": f"{failure.type} ({NOT_SHOWN})"})


# --- what a step returned -------------------------------------------------------------------------------------


def _decide_returned(run: StepRun, value: object, limit: int, draining: bool) -> OfReturned:
    match value:
        case Next():
            committed, step = _committed(run, value.then, value.state, limit)
            return StepCommit(run.claim, committed, in_place=not draining and _goes_on(run, step))
        case Wait():
            return _wait(run, value, limit)
        case Sleep():
            committed, _ = _committed(run, value.then, value.state, limit)
            return SleepUntil(committed, value)
        case FanOut():
            committed, _ = _committed(run, value.then, value.state, limit)
            if not value.children:
                return StepCommit(run.claim, committed, in_place=False)
            return Spawn(committed, value, run.context.spent.seconds)
        case Partial():
            return _finish(run, value.result, PartialCompletion(value.reason), limit)
        case Done():
            return _finish(run, value.result, None, limit)
        case _:
            return _finish(run, value, None, limit)


def _finish(run: StepRun, result: object, shortfall: PartialCompletion | None, limit: int) -> Finish:
    text = payloads.encode_value(result, "result", limit=limit)
    info = None
    if shortfall is not None:
        info = shortfall.info.model_copy(update={"checkpoint": run.claim.step_number or None})
    return Finish(run.claim, text, run.seconds, run.operations.take_progress(), info)


def _wait(run: StepRun, directive: Wait, limit: int) -> WaitForSignals:
    committed, step = _committed(run, directive.then, directive.state, limit)
    wait_ids = run.operations.waits.ids(directive.names)
    if directive.on_timeout is None:
        return WaitForSignals(committed, directive, step, None, wait_ids)
    other = run.agent.find_step(directive.on_timeout)
    other.validate(payloads.stored(committed.state))
    return WaitForSignals(committed, directive, step, other.name, wait_ids)


def _committed(run: StepRun, then: StepRef, state: dict[str, object], limit: int) -> tuple[Committed, Step]:
    """What the step leaves behind, checked, and the step that goes on. Raises InvalidInput, PayloadTooLarge."""
    step = run.agent.find_step(then)
    text, arguments = step.write(state, f"state of step {step.name}", limit=limit)
    progress, undoable = run.operations.take_progress(), run.step.undo is not None
    return Committed(step.name, text, run.seconds, progress, undoable=undoable, arguments=arguments), step


def _goes_on(run: StepRun, step: Step) -> bool:
    """Whether this worker runs the next step itself: within its quantum, and in the same place."""
    return (
        step.is_async == run.step.is_async
        and not step.wants
        and monotonic() < run.quantum_ends
        and run.stopped_at is None
        and not (run.loop is not None and run.loop.is_abandoned)
    )
