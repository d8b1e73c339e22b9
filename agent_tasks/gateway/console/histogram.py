"""Histogram: when tasks were submitted, or have ended, with an address for each bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_BARS = 48
_STEPS = (
    *(timedelta(seconds=seconds) for seconds in (1, 5, 15, 60, 300, 900)),
    *(timedelta(hours=hours) for hours in (1, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 7, 30, 90, 365)),
)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Bar:
    """Tasks of some time: `height` is what of 100 the highest bar has."""

    since: datetime
    until: datetime
    tasks: int
    height: float
    x: int
    failed: float
    """What of the height did not complete."""


def histogram(times: Sequence[tuple[datetime, bool]]) -> list[Bar]:
    """Return bars for times, each with whether it is of a task that failed; none where they would be fewer than two."""
    if len(times) < 2:
        return []
    first, last = min(at for at, _ in times), max(at for at, _ in times)
    step = next((step for step in _STEPS if (last - first) / step < _BARS), _STEPS[-1])
    start = first - (first - _EPOCH) % step
    counts: dict[int, list[int]] = {}
    for at, failed in times:
        count = counts.setdefault((at - start) // step, [0, 0])
        count[0] += 1
        count[1] += failed
    if len(counts) < 2:
        return []
    most = max(count for count, _ in counts.values())
    return [
        Bar(start + step * place, start + step * (place + 1), count, 100 * count / most, place, 100 * failed / most)
        for place, (count, failed) in sorted(counts.items())
        if place < 2 * _BARS
    ]
