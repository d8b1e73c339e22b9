"""Pace: when a remote task is looked at again."""

_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 300.0
_SOONEST_SECONDS, _LATEST_SECONDS = 0.1, 3600.0
_PART = 0.1


def next_look(waited: float, asked: float | None) -> float:
    """Return the seconds until the next look at a task that has been waited for so long.

    `asked`: what its server asks to wait, at least. Beyond that a tenth of the time so far, up to five minutes: the
    end of a task is heard of at most a tenth later than it took, and a task of days is looked at some hundred times a
    day.
    """
    least = _FIRST_SECONDS if asked is None else min(max(asked, _SOONEST_SECONDS), _LATEST_SECONDS)
    return max(least, min(_PART * waited, _LONGEST_SECONDS))


def seconds_of(milliseconds: object) -> float | None:
    """Return a server's interval in seconds; None for one that is none."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float) or not milliseconds > 0:
        return None
    return milliseconds / 1000
