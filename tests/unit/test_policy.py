"""What becomes of a step that raised: retried, or ended with an error that can be stored."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_tasks.authoring.retry import Retry
from agent_tasks.engine.steps.decision import EndWith, RetryAfter, judge
from agent_tasks.engine.steps.raised import describe
from agent_tasks.errors import ErrorType, PermissionDenied, StepFailed, UpstreamUnavailable
from agent_tasks.task.payloads import encode


class Strange(Exception):
    """Cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def raised(error: BaseException) -> BaseException:
    """With a traceback, as a step leaves it."""
    try:
        raise error
    except BaseException as caught:
        return caught


@given(st.text(), st.text())
def test_whatever_a_step_raises_can_be_stored(message: str, detail: str) -> None:
    for error in (ValueError(message), UpstreamUnavailable(message, detail=detail), KeyError(message)):
        end = judge(raised(error), Retry(), 1, "step", 3)
        assert isinstance(end, EndWith)
        encode(end.error.model_dump(mode="json"), "error")
        encode(end.traceback, "traceback")
        assert end.error.checkpoint == 3


@pytest.mark.parametrize("detail", [object(), b"\xff", float("nan"), {1}, "\x00", ValueError("\ud800")])
def test_details_that_have_no_json_form_do_not_hide_the_error(detail: Any) -> None:
    info = describe(PermissionDenied("no", detail=detail), "step", 0)
    assert (info.type, info.message) == (ErrorType.PERMISSION_DENIED, "no")
    encode(info.model_dump(mode="json"), "error")


def test_an_exception_that_cannot_be_shown_is_a_failed_step_like_any_other() -> None:
    end = judge(raised(Strange()), Retry(), 1, "step", 0)
    assert isinstance(end, EndWith)
    assert end.error.type is ErrorType.STEP_FAILED
    assert "Strange" in end.error.message


def test_an_unhandled_exception_is_told_by_name_and_its_traceback_kept() -> None:
    end = judge(raised(ZeroDivisionError("by zero")), Retry(), 1, "combine", 2)
    assert isinstance(end, EndWith)
    assert end.error.message == "Step combine failed: ZeroDivisionError: by zero"
    assert end.error.details == {"exception": "ZeroDivisionError", "step": "combine"}
    assert end.error.suggested_action == "escalate"
    assert "test_policy.py" in end.traceback


@pytest.mark.parametrize("error", [ConnectionError("refused"), TimeoutError()])
def test_what_may_pass_is_worth_a_resume(error: Exception) -> None:
    assert describe(error, "step", 0).suggested_action == "resume"


@pytest.mark.parametrize("error", [PermissionDenied("no"), UpstreamUnavailable("busy")])
def test_a_typed_error_stays_what_it_is(error: Any) -> None:
    end = judge(raised(error), Retry(), 1, "step", 0)
    assert isinstance(end, EndWith)
    assert (end.error.type, end.error.message) == (error.type, error.message)
    assert "test_policy.py" in end.traceback
    assert end.error.checkpoint is None


def test_a_policy_that_tries_again_says_when_and_why() -> None:
    again = judge(raised(UpstreamUnavailable("busy", retry_after=7)), Retry(attempts=2, base=0), 1, "step", 1)
    assert isinstance(again, RetryAfter)
    assert again.seconds == 7
    assert (again.error.type, again.error.retry_after) == (ErrorType.UPSTREAM_UNAVAILABLE, 7)
    assert isinstance(judge(raised(UpstreamUnavailable("busy")), Retry(attempts=2), 2, "step", 1), EndWith)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_what_ends_a_process_fails_the_step_and_is_not_retried(error: BaseException) -> None:
    end = judge(raised(error), Retry(attempts=5), 1, "step", 0)
    assert isinstance(end, EndWith)
    assert end.error.type is ErrorType.STEP_FAILED


@pytest.mark.parametrize("size", [10_000, 10_000_000])
def test_messages_and_tracebacks_are_kept_to_a_bounded_size(size: int) -> None:
    end = judge(raised(ValueError("\x00" * size)), Retry(), 1, "step", 0)
    assert isinstance(end, EndWith)
    assert len(end.error.message) < 50_000
    assert len(end.traceback) < 100_000


def test_a_typed_error_in_a_group_says_why_the_step_failed_and_the_whole_group_whether_it_is_tried_again() -> None:
    error = raised(ExceptionGroup("several", [ConnectionError("a"), UpstreamUnavailable("busy", retry_after=3)]))
    end = judge(error, Retry(), 1, "step", 0)
    assert (end.error.type, end.error.message) == (ErrorType.UPSTREAM_UNAVAILABLE, "busy")
    again = judge(error, Retry(attempts=2, base=0, on=(ConnectionError, UpstreamUnavailable)), 1, "step", 0)
    assert isinstance(again, RetryAfter)
    assert again.seconds == 3


def test_a_group_of_exceptions_is_one_failed_step_with_all_in_its_traceback() -> None:
    end = judge(raised(ExceptionGroup("several", [ValueError("a"), StepFailed("b")])), Retry(), 1, "step", 0)
    assert isinstance(end, EndWith)
    assert end.error.type is ErrorType.STEP_FAILED
    assert "ValueError: a" in end.traceback
