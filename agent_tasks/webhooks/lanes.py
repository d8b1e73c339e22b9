"""How much one process sends at once, to a lane: little at first, more while it is accepted; and for a tenant."""

from collections import Counter

FIRST, MOST = 4, 32
"""Requests in flight to a lane that this process knows nothing of, and to one that accepts all of them."""
MOST_IN_FLIGHT = 1000
"""Requests of one process."""
_KNOWN = 1000
"""Lanes whose limits are kept: those that accepted something last."""


class Lanes:
    """The requests in flight of each lane, and for how many more it has room."""

    def __init__(self) -> None:
        self._in_flight: Counter[str] = Counter()
        self._tenants: Counter[str] = Counter()
        self._limits: dict[str, int] = {}
        """Where it is not FIRST; the lane that accepted something last comes last."""

    @property
    def left(self) -> int:
        """For how many more there is room in this process."""
        return MOST_IN_FLIGHT - self._in_flight.total()

    @property
    def tenant_room(self) -> dict[str, int]:
        """The room of each tenant that has requests in flight."""
        return {tenant: max(0, (self.left - number) // 2) for tenant, number in self._tenants.items()}

    @property
    def usual_tenant_room(self) -> int:
        """The room of each other tenant.

        None takes more than what is left then for one that comes next: alone it has half, beside another a third.
        """
        return (self.left + 1) // 2

    @property
    def room(self) -> dict[str, int]:
        """The room in each lane for which it is not FIRST."""
        return {lane: self._room(lane) for lane in {*self._in_flight, *self._limits}}

    def begin(self, lane: str, tenant: str) -> None:
        self._in_flight[lane] += 1
        self._tenants[tenant] += 1

    def end(self, lane: str, tenant: str, *, accepted: bool) -> bool:
        """Note an end; whether the lane or its tenant had no room before it."""
        had_none = not self._room(lane) or self._tenants[tenant] >= self.left - 1
        limit = self._limits.pop(lane, FIRST)
        if accepted:
            self._limits[lane] = min(MOST, limit + 1)
            if len(self._limits) > _KNOWN:
                del self._limits[next(iter(self._limits))]
        self._in_flight[lane] -= 1
        if not self._in_flight[lane]:
            del self._in_flight[lane]
        self._tenants[tenant] -= 1
        if not self._tenants[tenant]:
            del self._tenants[tenant]
        return had_none

    def _room(self, lane: str) -> int:
        return max(0, self._limits.get(lane, FIRST) - self._in_flight[lane])
