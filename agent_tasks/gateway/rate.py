"""How many requests of a tenant are let through: GCRA, one bucket per tenant for all gateways, in Redis."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import redis

from agent_tasks.doorbell.breaker import Breaker
from agent_tasks.gateway.allowance import Allowance
from agent_tasks.task.rate import Rate

PREFIX = "agent-tasks:rate:"

# GCRA, the generic cell rate algorithm. What it knows is how far ahead of now the next request's theoretical arrival
# lies; kept is how far that was (`taken`), and when (`at`), by Redis's own clock, which all gateways share: both small
# enough to be exact as doubles. The bucket is gone when it would be empty.
# KEYS: the tenant's bucket. ARGV: the window in microseconds, the quota, and how many requests are asked for. Returns
# how many are let through, all of those or one or none; how many more may come now; and the microseconds until the
# bucket is empty and until the next may come.
_TAKE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local window, quota, asked = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local interval = window / quota
local kept = redis.call('HMGET', KEYS[1], 'taken', 'at')
local taken = 0
if kept[1] then taken = math.max(0, kept[1] - math.max(0, now - kept[2])) end
local room = window + interval / 1000 - taken
local allowed = asked * interval <= room and asked or interval <= room and 1 or 0
if allowed > 0 then
    taken = taken + allowed * interval
    redis.call('HSET', KEYS[1], 'taken', string.format('%.9f', taken), 'at', string.format('%.0f', now))
    redis.call('PEXPIRE', KEYS[1], math.ceil(taken / 1000) + 1)
end
local left = math.max(0, math.floor((window - taken) / interval + 0.001))
return {allowed, left, math.ceil(taken), left > 0 and 0 or math.ceil(math.max(0, taken + interval - window))}
"""
_PART = 100
"""A gateway takes at most a hundredth of a quota at a time, and as many as it let through lately: a tenant that sends
much costs one trip to Redis for many requests, and one that sends little is counted request by request."""
_KEPT_PART = 10
"""What was taken serves for a tenth of the window."""
_MOST_TENANTS = 10_000


@dataclass
class _Held:
    """Requests of a tenant that Redis has let through, and that have not come yet."""

    taken: int
    until: float
    allowance: Allowance
    used: int = 1

    def use(self) -> Allowance:
        self.used += 1
        return replace(self.allowance, remaining=self.allowance.remaining + self.taken - self.used)


class RateLimit:
    """The bucket of each tenant. Thread-safe; open where Redis is away, which is told of once and not waited for."""

    def __init__(
        self,
        client: "redis.Redis",
        rate: Rate,
        breaker: Breaker | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.rate = rate
        self._breaker = breaker or Breaker()
        self._script: Any = client.register_script(_TAKE)
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}

    def take(self, tenant: str) -> Allowance:
        """Take one request out of the tenant's bucket, where there is one left."""
        with self._lock:
            held, now = self._held.get(tenant), self._clock()
            if held is not None and held.used < held.taken and now < held.until:
                return held.use()
        return self._ask(tenant, self._several(held, now))

    def _several(self, held: _Held | None, now: float) -> int:
        """How many to ask for: twice as many as were used up in time, else as many as were used."""
        if held is None:
            return 1
        wanted = held.taken * 2 if now < held.until else held.used
        return max(1, min(wanted, self.rate.quota // _PART))

    def _ask(self, tenant: str, several: int) -> Allowance:
        try:
            with self._breaker:
                taken, left, reset, wait = self._script(
                    keys=[PREFIX + tenant], args=[self.rate.seconds * 1_000_000, self.rate.quota, several]
                )
        except redis.RedisError:
            return Allowance(True, self.rate, self.rate.quota, 0, 0, is_counted=False)
        allowance = Allowance(bool(taken), self.rate, left, _seconds(reset), _seconds(wait))
        with self._lock:
            if len(self._held) >= _MOST_TENANTS:
                self._held.clear()
            self._held[tenant] = _Held(taken, self._clock() + self.rate.seconds / _KEPT_PART, allowance)
        return replace(allowance, remaining=left + taken - 1) if taken else allowance


def _seconds(microseconds: int) -> int:
    return math.ceil(microseconds / 1_000_000)
