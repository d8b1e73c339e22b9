"""When it is tried again: the specification's schedule, what receivers ask for, and lanes that fail."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_tasks.transitions.lane import SILENCE_SECONDS
from agent_tasks.webhooks.schedule import ATTEMPTS, FAILING, GAPS, asked_pause, delay_after, pause_after, seconds_of

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
HOUR = 3600.0
DAY = 24 * HOUR


def test_the_schedule_is_that_of_the_specification() -> None:
    gaps = [delay_after(attempt, chance=lambda: 0.0) for attempt in range(1, 11)]
    assert gaps == [5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR, None]
    assert ATTEMPTS == 10


def test_no_gap_between_two_attempts_is_taken_for_a_silence() -> None:
    for attempt in range(1, ATTEMPTS):
        gap = delay_after(attempt, DAY, chance=lambda: 1.0)
        assert gap is not None
        assert GAPS[attempt - 1] <= gap < SILENCE_SECONDS


@given(st.integers(1, 20), st.floats(0, 1), st.one_of(st.none(), st.floats(0, 1e12)), st.floats(1e-6, 1))
def test_it_is_never_earlier_than_said_and_at_most_a_tenth_later(
    attempt: int, chance: float, told: float | None, scale: float
) -> None:
    delay = delay_after(attempt, told, scale=scale, chance=lambda: chance)
    if attempt >= ATTEMPTS:
        assert delay is None
        return
    least = delay_after(attempt, told, scale=scale, chance=lambda: 0.0)
    assert least is not None
    assert delay is not None
    assert least >= min(told or 0.0, DAY)
    assert least <= delay <= least * 1.1 + 1e-9


def test_a_lane_pauses_after_failures_in_a_row_for_longer_and_longer_up_to_five_minutes() -> None:
    pauses = [pause_after(failures, chance=lambda: 0.0) for failures in range(1, 15)]
    assert pauses == [None] * (FAILING - 1) + [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]


@pytest.mark.parametrize(
    ("answer", "told", "pause"),
    [(429, 7.0, 7.0), (503, 7.0, 7.0), (502, 7.0, 7.0), (504, 9999.0, 300.0), (429, None, None), (500, 7.0, None)],
)
def test_a_receiver_that_asks_for_less_is_left_alone(answer: int, told: float | None, pause: float | None) -> None:
    assert asked_pause(answer, told, chance=lambda: 0.0) == pause


def test_a_single_delivery_keeps_to_its_schedule_whatever_its_lane_does() -> None:
    for attempt in range(1, ATTEMPTS):
        pause, delay = pause_after(attempt, chance=lambda: 1.0), delay_after(attempt, chance=lambda: 0.0)
        assert delay is not None
        assert (pause or 0.0) < delay


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("0", None),
        ("999999999999999999999", 999_999_999.0),
        ("Fri, 27 Nov 2026 12:00:10 GMT", 10.0),
        ("Fri, 27 Nov 2026 13:00:10 +0100", 10.0),
        ("Fri, 27 Nov 2026 12:00:10", 10.0),
        ("Friday, 27-Nov-26 12:00:10 GMT", 10.0),
        ("Fri, 27 Nov 2026 11:59:59 GMT", None),
        ("Fri, 31 Feb 2098 25:61:00 GMT", None),
        ("Fri, 27 Nov 99999 12:00:00 GMT", None),
        ("Fri, ", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("1e9", None),
        ("NaN", None),
        ("٣", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_has_seconds_or_a_date_and_nonsense_counts_for_nothing(
    text: str | None, seconds: float | None
) -> None:
    assert seconds_of(text, NOW) == seconds


@given(st.text())
def test_no_header_breaks_it(text: str) -> None:
    seconds = seconds_of(text, NOW)
    assert seconds is None or seconds > 0
