"""Schedules: when one fires next, by the clock on the wall or at an interval, and rhythms that cannot be."""

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_tasks.client.schedules import _check_rhythm, next_time
from agent_tasks.errors import InvalidInput

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 1, 1, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def by_cron(cron: str, now: str, timezone: str = "UTC") -> str:
    """The next firing after `now` (UTC), in UTC, too."""
    found = next_time(cron, None, timezone, START, utc(now))
    assert found.tzinfo is not None
    return found.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("cron", "now", "following"),
    [
        ("* * * * *", "2026-03-01 10:00:30", "2026-03-01 10:01"),
        ("0 9 * * *", "2026-03-01 08:59:59", "2026-03-01 09:00"),
        ("0 9 * * *", "2026-03-01 09:00:00", "2026-03-02 09:00"),
        ("0 9 * * 1-5", "2026-03-06 09:00:00", "2026-03-09 09:00"),
        ("*/15 * * * *", "2026-12-31 23:50:00", "2027-01-01 00:00"),
        ("0 0 29 2 *", "2026-03-01 00:00:00", "2028-02-29 00:00"),
        ("0 0 31 * *", "2026-04-01 00:00:00", "2026-05-31 00:00"),
    ],
)
def test_cron_fires_at_the_first_time_after_now(cron: str, now: str, following: str) -> None:
    assert by_cron(cron, now) == following


@pytest.mark.parametrize(
    ("timezone", "now", "following"),
    [
        ("UTC", "2026-01-10 10:00", "2026-01-11 09:00"),
        ("Europe/Berlin", "2026-01-10 10:00", "2026-01-11 08:00"),
        ("Europe/Berlin", "2026-07-10 10:00", "2026-07-11 07:00"),
        ("America/New_York", "2026-01-10 10:00", "2026-01-10 14:00"),
        ("Asia/Kolkata", "2026-01-10 03:29", "2026-01-10 03:30"),
        ("Pacific/Kiritimati", "2026-01-10 20:00", "2026-01-11 19:00"),
    ],
)
def test_cron_speaks_of_the_clock_on_the_wall_in_its_time_zone(timezone: str, now: str, following: str) -> None:
    assert by_cron("0 9 * * *", now, timezone) == following


@pytest.mark.parametrize(
    ("now", "following"),
    [
        ("2026-03-28 09:00", "2026-03-29 07:00"),  # the night in which clocks go forward
        ("2026-03-29 07:00", "2026-03-30 07:00"),
        ("2026-10-24 08:00", "2026-10-25 08:00"),  # and the one in which they go back
        ("2026-10-25 08:00", "2026-10-26 08:00"),
    ],
)
def test_nine_in_the_morning_stays_nine_when_the_clocks_change(now: str, following: str) -> None:
    assert by_cron("0 9 * * *", now, "Europe/Berlin") == following


def firings(cron: str, first: str, until: str, timezone: str) -> list[datetime]:
    found = [utc(first)]
    while found[-1] <= utc(until):
        found.append(next_time(cron, None, timezone, found[-1], found[-1]).astimezone(UTC))
    return found[1:-1]


def test_a_time_that_the_clocks_skip_fires_once_that_day_too() -> None:
    days = firings("30 2 * * *", "2026-03-27 12:00", "2026-03-31 12:00", "Europe/Berlin")
    shown = [day.astimezone(BERLIN).strftime("%d %H:%M") for day in days]
    assert shown == ["28 02:30", "29 03:00", "30 02:30", "31 02:30"]


def test_a_time_that_the_clocks_repeat_fires_once_that_day() -> None:
    days = firings("30 2 * * *", "2026-10-23 12:00", "2026-10-28 12:00", "Europe/Berlin")
    assert [day.astimezone(BERLIN).strftime("%d %H:%M") for day in days] == [f"{n} 02:30" for n in range(24, 29)]


@pytest.mark.parametrize(("first", "until"), [("2026-03-28 12:00", "2026-03-29 12:00"),
                                               ("2026-10-24 12:00", "2026-10-25 12:00")])  # fmt: skip
def test_every_hour_is_every_hour_when_the_clocks_change(first: str, until: str) -> None:
    hours = firings("0 * * * *", first, until, "Europe/Berlin")
    assert {b - a for a, b in pairwise(hours)} == {timedelta(hours=1)}
    assert len(hours) == 24


@given(
    st.sampled_from(["* * * * *", "*/7 * * * *", "0 9 * * *", "30 2 * * *", "0 0 1 * *", "15 1,2,3 * * 0"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
)
def test_the_next_time_is_always_after_now_and_asking_again_goes_on(cron: str, zone: str, moment: datetime) -> None:
    now = moment.replace(tzinfo=UTC)
    first = next_time(cron, None, zone, now, now)
    assert now < first
    assert first < next_time(cron, None, zone, first, first.astimezone(UTC))


@given(
    st.floats(1, 1e6) | st.integers(1, 86_400),
    st.floats(0, 1e7),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
)
def test_an_interval_goes_on_from_its_own_times_however_late_it_is_looked_at(
    every: float, late: float, moment: datetime
) -> None:
    last = moment.replace(tzinfo=UTC)
    now = last + timedelta(seconds=late)
    following = next_time(None, every, "UTC", last, now)
    assert following > now
    steps = (following - last).total_seconds() / every
    assert steps == pytest.approx(round(steps), rel=1e-6)
    assert following - now <= timedelta(seconds=every)  # what was missed collapses into one


def test_an_interval_does_not_drift_though_each_firing_is_a_little_late() -> None:
    at = START
    for _ in range(1000):
        at = next_time(None, 60, "UTC", at, at + timedelta(milliseconds=730))
    assert at == START + timedelta(minutes=1000)


def test_missed_firings_of_an_interval_collapse_into_one() -> None:
    assert next_time(None, 60, "UTC", START, START) == START + timedelta(seconds=60)
    late = START + timedelta(hours=5, seconds=10)
    assert next_time(None, 60, "UTC", START, late) == START + timedelta(hours=5, seconds=60)


def test_missed_firings_of_cron_collapse_into_one() -> None:
    assert by_cron("0 * * * *", "2026-06-01 17:20") == "2026-06-01 18:00"


@pytest.mark.parametrize("every", [1, 1.5, 86_400 * 365, timedelta(hours=1).total_seconds()])
def test_a_rhythm_may_be_an_interval_of_a_second_or_more(every: float) -> None:
    _check_rhythm(None, every, "UTC")


@pytest.mark.parametrize("cron", ["* * * * *", "0 9 * * 1-5", "*/5 0-12,18 1 jan,mar mon", "0 0 29 2 *"])
def test_a_rhythm_may_be_cron_of_five_fields(cron: str) -> None:
    _check_rhythm(cron, None, "Europe/Berlin")


@pytest.mark.parametrize("every", [0, 0.5, -60, math.nan, math.inf, "60", b"60", True, [60], 1e300, 10**400, 1e12])
def test_an_interval_that_cannot_be_is_refused(every: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        _check_rhythm(None, every, "UTC")
    assert caught.value.details["field"] == "every"


@pytest.mark.parametrize(
    "cron",
    [
        "", "* * *", "* * * * * *", "61 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 9", "a b c d e",
        "0 0 31 2 *", "0 0 30 2 *", "*/0 * * * *", "5-1/x * * * *", "@daily", "\x00 * * * *", 5, ["* * * * *"],
    ],
)  # fmt: skip
def test_a_cron_expression_that_cannot_be_is_refused(cron: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        _check_rhythm(cron, None, "UTC")
    assert caught.value.details["field"] == "cron"


@pytest.mark.parametrize(("cron", "every"), [(None, None), ("* * * * *", 60.0)])
def test_a_rhythm_is_one_of_the_two(cron: str | None, every: float | None) -> None:
    with pytest.raises(InvalidInput, match="either cron= or every="):
        _check_rhythm(cron, every, "UTC")


@pytest.mark.parametrize(
    "timezone", ["Mars/Olympus", "", "../etc/passwd", "/etc/localtime", "Europe", "a\x00b", "UTC\n", 5, None]
)
def test_a_time_zone_that_nobody_knows_is_refused(timezone: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        _check_rhythm("* * * * *", None, timezone)
    assert caught.value.details["field"] == "timezone"
