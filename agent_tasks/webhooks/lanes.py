"""How much one process sends to a lane at once: little at first, more while it is accepted."""

from collections import Counter

FIRST, MOST = 4, 32
"""Requests in flight to a lane that this process knows nothing of, and to one that accepts all of them."""


class Lanes:
    """The requests in flight of each lane, and for how many more it has room."""

    def __init__(self) -> None:
        self._in_flight: Counter[str] = Counter()
        self._limits: dict[str, int] = {}
        """Of lanes with anything in flight."""

    @property
    def in_flight(self) -> int:
        return self._in_flight.total()

    @property
    def room(self) -> dict[str, int]:
        """The room in each lane that has anything in flight; in each other it is FIRST."""
        return {lane: max(0, self._limits[lane] - number) for lane, number in self._in_flight.items()}

    def begin(self, lane: str) -> None:
        self._limits.setdefault(lane, FIRST)
        self._in_flight[lane] += 1

    def end(self, lane: str, *, accepted: bool) -> bool:
        """Note an end; whether the lane had no room before it."""
        was_full = self._in_flight[lane] >= self._limits[lane]
        self._limits[lane] = min(MOST, self._limits[lane] + 1) if accepted else FIRST
        self._in_flight[lane] -= 1
        if not self._in_flight[lane]:
            del self._in_flight[lane], self._limits[lane]
        return was_full
