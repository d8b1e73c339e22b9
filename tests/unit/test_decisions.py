"""What becomes of a step, decided from its outcome alone, without Postgres."""

from collections.abc import Callable
from math import inf
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from agent_tasks import (
    Agent,
    BudgetExhausted,
    Child,
    Context,
    Done,
    FanOut,
    Next,
    Partial,
    Retry,
    Signal,
    Sleep,
    SyncContext,
    UpstreamUnavailable,
    Wait,
)  # fmt: skip
from agent_tasks.engine.steps.decision import (
    Decision,
    Drop,
    EndWith,
    RetryAfter,
    SleepUntil,
    Spawn,
    Undone,
    WaitForSignals,
    decide,
    decide_failure,
    decide_unstarted,
)
from agent_tasks.engine.steps.operations import DatabaseAway
from agent_tasks.engine.steps.run import Raised, Returned, StepResult, StepRun, Stopped
from agent_tasks.errors import ErrorType, LeaseLost
from agent_tasks.task.budget import Spend
from agent_tasks.transitions.checkpoint import StepCommit
from agent_tasks.transitions.complete import Finish

trip = Agent("trip_decided")
PROGRESS = '{"done": 1}'


def unbook(ctx: SyncContext, hotel: str) -> None: ...


@trip.step(undo=unbook)
async def book(ctx: Context, hotel: str) -> None: ...


@trip.step(retry=Retry(attempts=3, base=0))
async def travel(ctx: Context, hotel: str) -> None: ...


@trip.step
def stay(ctx: SyncContext, nights: int = 1) -> None: ...


@trip.step
async def answer(ctx: Context, signal: Signal[Any]) -> None: ...


class Operations:
    """Of a run that has shown progress, and made one call."""

    def __init__(self) -> None:
        self.left: str | None = PROGRESS
        self.judged: list[BaseException] = []
        self.waits = SimpleNamespace(ids=lambda names: dict.fromkeys(names, "w"))

    def take_progress(self) -> str | None:
        left, self.left = self.left, None
        return left

    def wait_id(self, name: str, turn: int) -> str:
        return f"{name} {turn}"

    def judge(self, error: BaseException) -> list[Any]:
        self.judged.append(error)
        return ["a call"]


def run_of(step: str = "travel", *, undo_step: int | None = None, sensitive: bool = False, **values: Any) -> StepRun:
    """A run in the middle of a quantum."""
    claim: Any = SimpleNamespace(
        id=uuid4(), run=1, step=step, step_number=2, failures=0, undo_step=undo_step, row={"sensitive": sensitive}
    )
    context: Any = SimpleNamespace(spent=Spend(seconds=5), stop=lambda: None)
    run = StepRun(
        claim, trip, trip.runnable[step], {}, context, cast(Any, Operations()), **{"quantum_ends": inf, **values}
    )
    return run


def decided(run: StepRun, outcome: StepResult, *, draining: bool = False, limit: int = 1000) -> Decision:
    return decide(run, outcome, limit=limit, draining=draining)


def returned(value: Any, **options: Any) -> Decision:
    return decided(run_of(), Returned(value), **options)


# --- a step that returned -------------------------------------------------------------------------------------


def test_a_next_step_of_the_same_kind_goes_on_in_place_with_what_it_will_be_called_with() -> None:
    run = run_of("book")
    found = decided(run, Returned(Next(travel, hotel="Ritz")))
    assert isinstance(found, StepCommit)
    assert (found.claim, found.in_place) == (run.claim, True)
    committed = found.committed
    assert (committed.next_step, committed.state) == ("travel", '{"hotel": "Ritz"}')
    assert committed.arguments == {"hotel": "Ritz"}
    assert (committed.progress, committed.undoable) == (PROGRESS, True)


def stop(run: StepRun) -> None:
    run.stopped_at = 1.0


def abandon(run: StepRun) -> None:
    run.loop = cast(Any, SimpleNamespace(is_abandoned=True))


def end_quantum(run: StepRun) -> None:
    run.quantum_ends = 0.0


@pytest.mark.parametrize("change", [stop, abandon, end_quantum])
def test_a_next_step_is_handed_over_where_its_worker_cannot_go_on(change: Callable[[StepRun], None]) -> None:
    run = run_of("book")
    change(run)
    found = decided(run, Returned(Next(travel, hotel="Ritz")))
    assert isinstance(found, StepCommit)
    assert not found.in_place


@pytest.mark.parametrize(
    ("value", "draining"),
    [
        (Next(travel, hotel="Ritz"), True),  # the process ends
        (Next(stay, nights=2), False),  # it runs in a slot, not on the loop
        (FanOut([], then=travel, hotel="Ritz"), False),  # nobody is waited for
    ],
)
def test_other_next_steps_are_handed_over(value: Any, draining: bool) -> None:
    found = returned(value, draining=draining)
    assert isinstance(found, StepCommit)
    assert not found.in_place


@pytest.mark.parametrize(("value", "result"), [(7, "7"), (None, "null"), (Done({"a": 1}), '{"a": 1}')])
def test_any_other_value_is_the_tasks_result(value: Any, result: str) -> None:
    found = returned(value)
    assert isinstance(found, Finish)
    assert (found.result, found.shortfall, found.progress) == (result, None, PROGRESS)


def test_a_partial_result_says_why_and_from_which_checkpoint_the_task_can_be_resumed() -> None:
    found = returned(Partial("half", "no more time"))
    assert isinstance(found, Finish)
    assert found.shortfall is not None
    assert (found.shortfall.type, found.shortfall.checkpoint) == (ErrorType.PARTIAL_COMPLETION, 2)


def test_a_wait_names_the_step_that_takes_the_signal_and_the_one_that_goes_on_without() -> None:
    found = returned(Wait("ready", then=answer, timeout=5, on_timeout=stay))
    assert isinstance(found, WaitForSignals)
    assert (found.committed.next_step, found.step.name, found.on_timeout) == ("answer", "answer", "stay")
    assert found.directive.names == ("ready",)


def test_a_sleep_is_for_its_timer() -> None:
    found = returned(Sleep(5, then=stay))
    assert isinstance(found, SleepUntil)
    assert (found.committed.next_step, found.directive.seconds) == ("stay", 5)


def test_children_share_what_is_left_of_the_task_after_the_seconds_of_the_step() -> None:
    found = returned(FanOut([Child("echo")], then=stay))
    assert isinstance(found, Spawn)
    assert (found.seconds, len(found.directive.children)) == (5, 1)


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (Next("nowhere"), ErrorType.INVALID_INPUT),
        (Next(travel, hotel=7), ErrorType.INVALID_INPUT),
        (Wait("ready", then=stay, timeout=5, on_timeout=travel), ErrorType.INVALID_INPUT),
        ("x" * 2000, ErrorType.PAYLOAD_TOO_LARGE),
        (object(), ErrorType.STEP_FAILED),
    ],
)
def test_what_cannot_be_stored_fails_the_step_as_if_it_had_raised(value: Any, type_: ErrorType) -> None:
    found = decided(run_of("book"), Returned(value))
    assert isinstance(found, EndWith)
    assert found.error.type == type_


# --- a step that raised ---------------------------------------------------------------------------------------


def test_a_step_that_raised_is_tried_again_by_its_policy_with_its_progress_and_the_calls_to_make_again() -> None:
    run, error = run_of(), UpstreamUnavailable("busy", retry_after=7)
    found = decided(run, Raised(error))
    assert isinstance(found, RetryAfter)
    assert (found.seconds, found.cause, found.progress, found.calls) == (7, error, PROGRESS, ["a call"])


def test_the_last_try_ends_the_task_with_its_traceback_and_the_calls_that_a_resumed_task_makes_again() -> None:
    run, error = run_of(), UpstreamUnavailable("busy")
    run.claim.failures = 2
    found = decided(run, Raised(error))
    assert isinstance(found, EndWith)
    assert (found.error.type, found.error.checkpoint, found.cause) == (ErrorType.UPSTREAM_UNAVAILABLE, 2, error)
    assert found.calls == ["a call"]
    assert "busy" in found.traceback


def test_an_outcome_that_was_refused_is_what_the_step_raised() -> None:
    refused = BudgetExhausted.of("seconds", 5, 6)
    found = decide_failure(run_of("book"), refused)
    assert isinstance(found, EndWith)
    assert (found.error.type, found.cause) == (ErrorType.BUDGET_EXHAUSTED, refused)


def wrapped(cause: Exception) -> Exception:
    error = ValueError("caught, and raised otherwise")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("lost", [LeaseLost("another run"), DatabaseAway("no answer")])
def test_a_step_that_lost_its_lease_or_postgres_has_nothing_to_commit_whatever_it_made_of_that(lost: Exception) -> None:
    for error in (lost, wrapped(lost), ExceptionGroup("several", [lost])):
        found = decided(run_of(), Raised(error))
        assert found == Drop(lost)


@pytest.mark.parametrize("outcome", [Stopped(), Returned(7)])
def test_a_step_that_was_stopped_or_given_up_has_nothing_to_commit(outcome: StepResult) -> None:
    run = run_of()
    run.given_up = isinstance(outcome, Returned)
    found = decided(run, outcome)
    assert isinstance(found, Drop)
    assert isinstance(found.reason, LeaseLost)


# --- undo -----------------------------------------------------------------------------------------------------


def test_an_undo_function_has_undone_its_step_whatever_it_returns() -> None:
    assert decided(run_of("undo:book", undo_step=0), Returned(Next(travel))) == Undone()


def test_an_undo_function_is_given_up_after_its_last_try() -> None:
    run, error = run_of("undo:book", undo_step=0), RuntimeError("no answer")
    assert isinstance(decided(run, Raised(error)), RetryAfter)
    run.claim.failures = 99
    found = decided(run, Raised(error))
    assert isinstance(found, Undone)
    assert found.cause is error
    assert found.failure is not None
    assert "no answer" in found.failure.message


def test_why_a_sensitive_undo_was_given_up_is_not_told() -> None:
    run = run_of("undo:book", undo_step=0, sensitive=True)
    run.claim.failures = 99
    found = decided(run, Raised(RuntimeError("ana's secret")))
    assert isinstance(found, Undone)
    assert found.failure is not None
    assert "secret" not in found.failure.message


# --- a step that may not begin --------------------------------------------------------------------------------


def test_a_step_that_may_not_begin_ends_its_task_although_it_could_be_tried_again() -> None:
    found = decide_unstarted(run_of().claim, UpstreamUnavailable("busy"), "its own stack")
    assert isinstance(found, EndWith)
    assert (found.traceback, found.error.message) == ("its own stack", "busy")


def test_an_undo_that_may_not_begin_is_given_up() -> None:
    found = decide_unstarted(run_of("undo:book", undo_step=0).claim, RuntimeError("no code"))
    assert isinstance(found, Undone)
    assert found.failure is not None


class Broken(Exception):
    @property
    def __class__(self) -> Any:  # what an attempt to look at it raises
        raise RuntimeError("not even this")


def test_an_exception_that_cannot_be_inspected_fails_the_step() -> None:
    found = decide_failure(run_of("book"), Broken())
    assert isinstance(found, EndWith)
    assert found.error.message == "Step book failed: Broken, which cannot be shown: RuntimeError"
