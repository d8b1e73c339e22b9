"""When a delivery is tried again, and when a lane whose deliveries fail is."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

Chance = Callable[[], float]
"""A number from 0 to 1."""

_MINUTE, _HOUR = 60.0, 3600.0
GAPS = (
    5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR,
)  # fmt: skip
"""Seconds from one attempt to the next, the first of which is made at once (Standard Webhooks, 2026-08-17)."""
ATTEMPTS = len(GAPS) + 1
FAILING = 5
"""So many failures in a row make a lane one that fails: a single delivery of it is tried at a time."""
_JITTER = 0.1
_LONGEST = GAPS[-1]
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 5 * _MINUTE
_SLOWED = (429, 502, 503, 504)
"""Answers of a receiver that has more to do than it can."""


def delay_after(
    attempt: int, retry_after: float | None = None, *, scale: float = 1.0, chance: Chance = random.random
) -> float | None:
    """Seconds until the try after the failed attempt of this number, which counts from 1; None: it was the last one.

    Never earlier than the schedule or the receiver says, and up to a tenth later. `retry_after` counts up to a day.
    """
    if attempt >= ATTEMPTS:
        return None
    gap = GAPS[max(attempt, 1) - 1] * scale
    return max(gap, min(retry_after or 0.0, _LONGEST)) * (1 + _JITTER * chance())


def pause_after(failures: int, *, scale: float = 1.0, chance: Chance = random.random) -> float | None:
    """Seconds for which nothing is sent to a lane after so many failures in a row; None: it goes on."""
    if failures < FAILING:
        return None
    doubled = _FIRST_PAUSE * 2 ** min(failures - FAILING, 10)
    return min(doubled, _LONGEST_PAUSE) * scale * (1 + _JITTER * chance())


def asked_pause(answer: int | None, retry_after: float | None, *, chance: Chance = random.random) -> float | None:
    """Seconds for which a receiver that has too much to do (429, 502, 503, 504) asks to be left alone, if it does.

    Others than its sender's may share an origin, so that takes five minutes at most: each delivery keeps to what it was
    told itself.
    """
    if answer not in _SLOWED or not retry_after:
        return None
    return min(retry_after, _LONGEST_PAUSE) * (1 + _JITTER * chance())


def seconds_of(retry_after: str | None, now: datetime) -> float | None:
    """Read a Retry-After header, which has seconds or a date; None where it has neither, or a moment that is over."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9]) or None
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    return seconds if seconds > 0 else None
