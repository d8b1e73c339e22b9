"""Missed firings of cron: how far back the latest so many reach, counted by days and not from one to the next."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from typing import Any

_DAY = timedelta(days=1)
_EVERY = ["*"]


def reach_back(cron: str, now: datetime, least: datetime, most: int) -> datetime:
    """Return the time of the firing that is the `most`-th before `now`, or `least` where it is before that.

    Both in the schedule's timezone. A day on which the clocks change counts as any other.
    """
    from croniter import croniter

    fields, weeks = croniter.expand(cron)
    minutes, hours, *days = fields
    times = [time_of_day(hour, minute) for hour in _numbers(hours, 24) for minute in _numbers(minutes, 60)]
    day, left = now.date(), most
    of_day = [each for each in times if each < now.time()]
    while day >= least.date():
        if _falls_on(day, days, weeks):
            if len(of_day) >= left:
                return max(least, datetime.combine(day, of_day[-left], now.tzinfo))
            left -= len(of_day)
        day, of_day = day - _DAY, times
    return least


def _numbers(field: Sequence[Any], end: int) -> list[int]:
    return list(range(end)) if field == _EVERY else sorted(field)


def _falls_on(day: date, days: Sequence[Sequence[Any]], weeks: dict[Any, Any]) -> bool:
    """Return whether it fires on this day: with a day of the month and one of the week, either is enough."""
    of_month, months, of_week = days
    if months != _EVERY and day.month not in months:
        return False
    is_date = day.day in of_month or ("l" in of_month and (day + _DAY).day == 1)
    weekday = day.isoweekday() % 7
    is_last = (day + 7 * _DAY).month != day.month
    is_weekday = weekday in of_week and (
        weekday not in weeks
        or any(is_last if week == "l" else week == (day.day - 1) // 7 + 1 for week in weeks[weekday])
    )
    if of_month == _EVERY or of_week == _EVERY:
        return (of_month == _EVERY or is_date) and (of_week == _EVERY or is_weekday)
    return is_date or is_weekday
