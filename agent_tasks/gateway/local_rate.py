"""How many requests of a tenant one gateway process lets through, where there is no Redis to count them all in."""

import math
import threading
from collections.abc import Callable
from time import monotonic

from agent_tasks.gateway.allowance import Allowance
from agent_tasks.task.rate import Rate

_MOST_TENANTS = 10_000


class LocalRateLimit:
    """The bucket of each tenant (GCRA, as in `RateLimit`), in this process alone: each gateway lets as many through."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = monotonic) -> None:
        self.rate = rate
        self._interval = rate.seconds / rate.quota
        self._clock = clock
        self._lock = threading.Lock()
        self._empty_at: dict[str, float] = {}
        """When each bucket will be empty again."""

    def take(self, tenant: str) -> Allowance:
        """Take one request out of the tenant's bucket, where there is one left."""
        with self._lock:
            now = self._clock()
            taken = max(0.0, self._empty_at.get(tenant, 0.0) - now)
            is_allowed = taken + self._interval <= self.rate.seconds + self._interval / 1000
            if is_allowed:
                taken += self._interval
                self._keep(tenant, now + taken, now)
        left = max(0, math.floor((self.rate.seconds - taken) / self._interval + 0.001))
        wait = 0.0 if left else max(0.0, taken + self._interval - self.rate.seconds)
        return Allowance(is_allowed, self.rate, left, _seconds(taken), _seconds(wait))

    def _keep(self, tenant: str, empty_at: float, now: float) -> None:
        if tenant not in self._empty_at and len(self._empty_at) >= _MOST_TENANTS:
            self._empty_at = {name: at for name, at in self._empty_at.items() if at > now}
            if len(self._empty_at) >= _MOST_TENANTS:
                self._empty_at.clear()
        self._empty_at[tenant] = empty_at


def _seconds(seconds: float) -> int:
    return math.ceil(round(seconds, 6))
