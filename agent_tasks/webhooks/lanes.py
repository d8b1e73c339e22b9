"""How much one process sends to a lane at once: little at first, more while it is accepted."""

from collections import Counter

FIRST, MOST = 4, 32
"""Requests in flight to a lane that this process knows nothing of, and to one that accepts all of them."""
_KNOWN = 1000
"""Lanes whose limits are kept: those that accepted something last."""


class Lanes:
    """The requests in flight of each lane, and for how many more it has room."""

    def __init__(self) -> None:
        self._in_flight: Counter[str] = Counter()
        self._limits: dict[str, int] = {}
        """Where it is not FIRST; the lane that accepted something last comes last."""

    @property
    def in_flight(self) -> int:
        return self._in_flight.total()

    @property
    def room(self) -> dict[str, int]:
        """The room in each lane for which it is not FIRST."""
        return {lane: self._room(lane) for lane in {*self._in_flight, *self._limits}}

    def begin(self, lane: str) -> None:
        self._in_flight[lane] += 1

    def end(self, lane: str, *, accepted: bool) -> bool:
        """Note an end; whether the lane had no room before it."""
        had_none = not self._room(lane)
        limit = self._limits.pop(lane, FIRST)
        if accepted:
            self._limits[lane] = min(MOST, limit + 1)
            if len(self._limits) > _KNOWN:
                del self._limits[next(iter(self._limits))]
        self._in_flight[lane] -= 1
        if not self._in_flight[lane]:
            del self._in_flight[lane]
        return had_none

    def _room(self, lane: str) -> int:
        return max(0, self._limits.get(lane, FIRST) - self._in_flight[lane])
