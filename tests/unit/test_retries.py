"""Retry: when a failed step is tried again, as a pure policy."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_tasks.authoring.mcp_error import McpError
from agent_tasks.authoring.peers.a2a_answers import RemoteFailed
from agent_tasks.authoring.retry import LONGEST_SECONDS, Retry
from agent_tasks.errors import AgentTaskError, InvalidInput, StepFailed, UpstreamUnavailable

seconds = st.floats(min_value=0, max_value=1e6, allow_nan=False)
attempts = st.integers(min_value=2, max_value=10_000)


@given(seconds, seconds, attempts, st.data())
def test_the_wait_is_between_nothing_and_the_capped_exponential(
    base: float, cap: float, attempts: int, data: st.DataObject
) -> None:
    failures = data.draw(st.integers(min_value=1, max_value=attempts - 1))
    delay = Retry(attempts=attempts, base=base, cap=cap).delay(OSError(), failures)
    assert delay is not None
    assert 0 <= delay <= min(cap, base * 2.0 ** min(failures - 1, 900))


@given(st.floats(min_value=0, max_value=LONGEST_SECONDS), seconds, seconds, st.integers(min_value=1, max_value=98))
def test_what_the_upstream_asked_for_is_a_lower_bound(asked: float, base: float, cap: float, failures: int) -> None:
    error = UpstreamUnavailable("busy", retry_after=asked)
    delay = Retry(attempts=99, base=base, cap=cap).delay(error, failures)
    assert delay is not None
    assert delay >= asked


@given(attempts)
def test_attempts_count_the_first_try(attempts: int) -> None:
    retry = Retry(attempts=attempts, base=0)
    assert retry.delay(OSError(), attempts - 1) is not None
    assert retry.delay(OSError(), attempts) is None
    assert retry.delay(OSError(), attempts + 1) is None


def test_without_a_policy_the_first_failure_is_final() -> None:
    assert Retry().delay(UpstreamUnavailable("busy", retry_after=1), 1) is None


def _subclasses(cls: type[AgentTaskError]) -> list[type[AgentTaskError]]:
    return [cls, *(found for below in cls.__subclasses__() for found in _subclasses(below))]


@pytest.mark.parametrize("kind", _subclasses(AgentTaskError))
def test_a_typed_error_is_retried_only_if_it_says_so(kind: type[AgentTaskError]) -> None:
    error = McpError(-32000, "x") if kind is McpError else kind("x")
    assert (Retry(attempts=5).delay(error, 1) is not None) == kind.retryable
    assert kind.retryable == (issubclass(kind, UpstreamUnavailable) and kind is not RemoteFailed)


def test_a_typed_error_that_is_not_retryable_is_final_even_where_it_is_listed() -> None:
    assert Retry(attempts=5, on=(StepFailed,)).delay(StepFailed("x"), 1) is None


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_of_the_step_is_not_retried(kind: type[BaseException]) -> None:
    assert Retry(attempts=5).delay(kind(), 1) is None


def test_only_the_listed_exceptions_are_retried() -> None:
    retry = Retry(attempts=5, on=(OSError,))
    assert retry.delay(ConnectionError(), 1) is not None
    assert retry.delay(ValueError(), 1) is None
    assert retry.delay(UpstreamUnavailable("x"), 1) is None


def test_one_exception_class_needs_no_tuple() -> None:
    retry = Retry(attempts=2, on=OSError)  # type: ignore[arg-type]
    assert retry.delay(OSError(), 1) is not None
    assert retry.delay(ValueError(), 1) is None


@pytest.mark.parametrize("failures", [61, 1024, 10**6, 10**18])
def test_any_number_of_failures_gives_a_finite_wait(failures: int) -> None:
    retry = Retry(attempts=10**19, base=1e308, cap=1e308)
    delay = retry.delay(OSError(), failures, draw=lambda _, ceiling: ceiling)
    assert delay is not None
    assert 0 <= delay <= LONGEST_SECONDS


@pytest.mark.parametrize("asked", [math.nan, math.inf, -math.inf, -5, "soon", object(), 10**400])
def test_a_retry_after_that_means_nothing_is_left_out(asked: Any) -> None:
    error = UpstreamUnavailable("busy", retry_after=asked)
    assert error.info.retry_after is None
    delay = Retry(attempts=5, base=1, cap=1).delay(error, 1)
    assert delay is not None
    assert 0 <= delay <= 1


def test_no_upstream_can_ask_for_a_wait_that_the_database_cannot_hold() -> None:
    assert Retry(attempts=5).delay(UpstreamUnavailable("busy", retry_after=1e300), 1) == LONGEST_SECONDS


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attempts", 0),
        ("attempts", -1),
        ("attempts", 2.5),
        ("attempts", math.nan),
        ("attempts", math.inf),
        ("attempts", "3"),
        ("attempts", True),
        ("base", -1),
        ("base", math.nan),
        ("base", math.inf),
        ("base", "1"),
        ("cap", -1),
        ("cap", math.nan),
        ("cap", None),
        ("on", [OSError]),
        ("on", ("OSError",)),
        ("on", (int,)),
    ],
)
def test_a_policy_that_means_nothing_is_refused_where_it_is_declared(field: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        Retry(**{field: value})
    assert caught.value.details["field"] == field


def group(*errors: Exception) -> ExceptionGroup[Exception]:
    return ExceptionGroup("several", list(errors))


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (group(ConnectionError()), True),
        (group(ConnectionError(), group(TimeoutError())), True),
        (group(ConnectionError(), ValueError()), False),
        (group(ConnectionError(), StepFailed("x")), False),
    ],
)
def test_a_group_is_retried_where_all_that_is_in_it_would_be(error: BaseException, again: bool) -> None:
    assert (Retry(attempts=5, on=(OSError,)).delay(error, 1) is not None) is again


def test_a_group_in_which_a_typed_error_is_final_is_final_even_where_any_exception_is_retried() -> None:
    assert Retry(attempts=5).delay(group(OSError(), StepFailed("x")), 1) is None
    assert Retry(attempts=5, on=(ExceptionGroup,)).delay(group(OSError()), 1) is not None


def test_a_group_waits_as_long_as_the_one_that_asks_for_most() -> None:
    busy = [UpstreamUnavailable("busy", retry_after=seconds) for seconds in (3, 50, 7)]
    assert Retry(attempts=5, base=0).delay(group(*busy), 1) == 50
