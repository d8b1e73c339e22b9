"""Typed errors: one tree, one machine-readable form."""

import inspect
import json
import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_tasks import errors
from agent_tasks.errors import (
    AgentTaskError,
    ContextLost,
    ErrorInfo,
    ErrorType,
    InvalidInput,
    LeaseLost,
    StepFailed,
    SuggestedAction,
    TaskNotFound,
    UpstreamUnavailable,
    from_info,
)
from agent_tasks.task.payloads import encode

CONTRACT = {
    "budget_exhausted", "upstream_unavailable", "partial_completion", "context_lost", "invalid_input",
    "permission_denied", "payload_too_large", "poison", "step_failed", "cancelled",
}  # fmt: skip
CLASSES = [found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, AgentTaskError)]


def test_the_error_types_are_those_of_the_contract() -> None:
    assert {str(kind) for kind in ErrorType} == CONTRACT


def test_the_suggested_actions_are_those_of_the_contract() -> None:
    actions = {"retry", "resume", "raise_budget", "fix_input", "escalate", "none"}
    assert {str(action) for action in SuggestedAction} == actions


def test_an_error_has_exactly_the_fields_of_the_contract() -> None:
    stored = json.loads(StepFailed("x").info.model_dump_json())
    fields = ["type", "message", "retryable", "retry_after", "details", "checkpoint", "suggested_action"]
    assert list(stored) == fields


@pytest.mark.parametrize("kind", ErrorType)
def test_every_type_has_an_exception_that_is_raised_for_it(kind: ErrorType) -> None:
    error = from_info(ErrorInfo(type=kind, message="m"))
    assert type(error) is not AgentTaskError
    assert error.type is kind
    assert str(error) == "m"


@pytest.mark.parametrize("kind", CLASSES)
def test_every_exception_is_in_the_tree_at_the_head_of_its_module(kind: type[AgentTaskError]) -> None:
    assert errors.__doc__ is not None
    line = next(line for line in errors.__doc__.splitlines() if kind.__name__ in line.split())
    if kind is not AgentTaskError:
        assert str(kind.type) in line


@pytest.mark.parametrize("kind", ErrorType)
def test_a_recorded_error_comes_back_as_it_was_recorded(kind: ErrorType) -> None:
    info = ErrorInfo(
        type=kind,
        message="it broke",
        retryable=True,
        retry_after=2.5,
        details={"message": "of the details", "retry_after": 1, "self": 2, "field": "a"},
        checkpoint=4,
        suggested_action=SuggestedAction.NONE,
    )
    error = from_info(info)
    assert error.info == info
    assert error.retry_after == 2.5
    assert error.details == info.details


def test_what_is_not_for_users_is_no_typed_error() -> None:
    assert not issubclass(LeaseLost, AgentTaskError)


def test_wrong_input_is_a_value_error_and_a_missing_task_a_lookup_error() -> None:
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(TaskNotFound, LookupError)


def test_an_exception_may_be_the_message() -> None:
    error = UpstreamUnavailable(ConnectionError("refused"))
    assert error.info.message == "refused"


@pytest.mark.parametrize(
    "detail",
    [object(), math.nan, math.inf, "\x00", "\ud800", b"\xff", {1, 2}, {(1, 2): 3}, ValueError("x"), [10**5000]],
)
def test_an_error_with_any_detail_can_be_stored(detail: Any) -> None:
    info = ContextLost("lost \x00 \ud800", detail=detail, good=1).info
    encode(info.model_dump(mode="json"), "error")
    assert info.details["good"] == 1
    assert "detail" in info.details


@given(st.text(), st.none() | st.floats() | st.integers() | st.text(), st.text())
def test_any_error_can_be_stored(message: str, retry_after: Any, detail: str) -> None:
    info = UpstreamUnavailable(message, retry_after=retry_after, detail=detail).info
    stored = json.loads(encode(info.model_dump(mode="json"), "error"))
    assert ErrorInfo.model_validate(stored) == info


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (7, 7.0),
        ("7.5", 7.5),
        (b"7", 7.0),
        (timedelta(minutes=2), 120.0),
    ],
)
def test_what_an_upstream_asks_for_is_seconds_or_a_duration(given: Any, seconds: float) -> None:
    assert UpstreamUnavailable("busy", retry_after=given).info.retry_after == seconds


def test_an_upstream_may_ask_for_a_time_or_a_date_and_a_past_one_is_now() -> None:
    later, past = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) - timedelta(hours=1)
    for asked, seconds in ((later, 3600), (format_datetime(later, usegmt=True), 3600), (past, 0)):
        found = UpstreamUnavailable("busy", retry_after=asked).info.retry_after
        assert found == pytest.approx(seconds, abs=60)


@pytest.mark.parametrize("given", ["soon", -1, math.nan, datetime(2026, 1, 2), object()])
def test_a_retry_after_that_means_nothing_is_left_out_with_a_warning(
    given: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert UpstreamUnavailable("busy", retry_after=given).info.retry_after is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]


class Broken(Exception):
    def __str__(self) -> str:
        raise TypeError("no text")


def test_an_error_that_cannot_say_what_it_is_can_be_the_message() -> None:
    assert "TypeError" in UpstreamUnavailable(Broken()).info.message


def test_only_an_upstream_that_did_not_answer_is_worth_another_try() -> None:
    assert [kind.__name__ for kind in CLASSES if kind.retryable] == ["UpstreamUnavailable"]
    assert UpstreamUnavailable.suggested_action is SuggestedAction.RETRY
