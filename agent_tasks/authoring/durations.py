"""Durations as authors write them: seconds, or a timedelta."""

from datetime import timedelta

from agent_tasks.task.arguments import LONGEST_WAIT, refused
from agent_tasks.task.budget import LARGEST_AMOUNT


def seconds_of(duration: float | timedelta, field: str) -> float:
    """Return a duration in seconds, 0 if negative. Raises InvalidInput for NaN, infinity and over a hundred years."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if type(seconds) not in (int, float) or not -LARGEST_AMOUNT <= seconds <= LONGEST_WAIT:
        raise refused(f"{field} must be seconds or a timedelta of at most a hundred years", seconds, field)
    return max(0.0, float(seconds))
