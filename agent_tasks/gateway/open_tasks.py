"""How many open tasks a tenant may add before they are counted again."""

import threading
from collections.abc import Callable
from time import monotonic

_FRESH_SECONDS = 1.0
_SHARE = 10
"""Of the room that a count has found, a gateway uses a tenth before it counts again: others use it at that time."""
_MOST_TENANTS = 10_000


class OpenTasks:
    """The room of each tenant below what it may have open. Thread-safe.

    A count reads a row for each open task. So one serves for a second, and for a tenth of the room that it found; a
    tenant that is near its limit is counted each time.
    """

    def __init__(self, most: int, count: Callable[[str], int], clock: Callable[[], float] = monotonic) -> None:
        """`count` counts the open tasks of a tenant, up to `most`."""
        self._most = most
        self._count = count
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, int]] = {}
        """Until when a tenant's count serves, and for how many tasks more."""

    def take(self, tenant: str) -> bool:
        """Whether the tenant has room for one more task."""
        with self._lock:
            until, room = self._known.get(tenant, (0.0, 0))
            if room > 0 and self._clock() < until:
                self._known[tenant] = until, room - 1
                return True
        until = self._clock() + _FRESH_SECONDS
        left = self._most - self._count(tenant)
        with self._lock:
            if len(self._known) >= _MOST_TENANTS:
                self._known.clear()
            self._known[tenant] = until, left // _SHARE
        return left > 0
