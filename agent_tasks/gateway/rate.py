"""How many requests of a tenant are let through: GCRA, one bucket per tenant for all gateways, in Redis."""

import math
from dataclasses import dataclass
from typing import Any

import redis

from agent_tasks.doorbell.breaker import Breaker
from agent_tasks.task.rate import Rate

PREFIX = "agent-tasks:rate:"
_POLICY = "default"

# GCRA, the generic cell rate algorithm. What it knows is how far ahead of now the next request's theoretical arrival
# lies; kept is how far that was (`taken`), and when (`at`), by Redis's own clock, which all gateways share: both small
# enough to be exact as doubles. The bucket is gone when it would be empty.
# KEYS: the tenant's bucket. ARGV: the window in microseconds, and the quota. Returns whether the request is let
# through, how many may come now, and the microseconds until the bucket is empty and until the next may come.
_TAKE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local window, quota = tonumber(ARGV[1]), tonumber(ARGV[2])
local interval = window / quota
local kept = redis.call('HMGET', KEYS[1], 'taken', 'at')
local taken = 0
if kept[1] then taken = math.max(0, kept[1] - math.max(0, now - kept[2])) end
local allowed = 0
if taken + interval <= window + interval / 1000 then
    allowed, taken = 1, taken + interval
    redis.call('HSET', KEYS[1], 'taken', string.format('%.9f', taken), 'at', string.format('%.0f', now))
    redis.call('PEXPIRE', KEYS[1], math.ceil(taken / 1000) + 1)
end
local left = math.max(0, math.floor((window - taken) / interval + 0.001))
return {allowed, left, math.ceil(taken), left > 0 and 0 or math.ceil(math.max(0, taken + interval - window))}
"""


@dataclass(frozen=True)
class Allowance:
    """Whether a request is let through, and what the tenant has left."""

    allowed: bool
    rate: Rate
    remaining: int
    """Requests that may come now."""
    reset_seconds: int
    """Until all of the quota is there again."""
    retry_after_seconds: int
    """Until the next request is let through; 0 where one would be now."""
    is_counted: bool = True
    """False where Redis was away."""

    @property
    def limit(self) -> int:
        return self.rate.quota

    @property
    def headers(self) -> dict[str, str]:
        """As in draft-ietf-httpapi-ratelimit-headers-11; with Retry-After where the request is refused."""
        if not self.is_counted:
            return {}
        headers = {
            "RateLimit-Policy": f'"{_POLICY}";q={self.rate.quota};w={self.rate.seconds}',
            "RateLimit": f'"{_POLICY}";r={self.remaining};t={self.reset_seconds}',
        }
        return headers if self.allowed else headers | {"Retry-After": str(self.retry_after_seconds)}


class RateLimit:
    """The bucket of each tenant. Thread-safe; open where Redis is away, which is told of once and not waited for."""

    def __init__(self, client: "redis.Redis", rate: Rate, breaker: Breaker | None = None) -> None:
        self.rate = rate
        self._breaker = breaker or Breaker()
        self._take: Any = client.register_script(_TAKE)

    def take(self, tenant: str) -> Allowance:
        """Take one request out of the tenant's bucket, where there is one left."""
        try:
            with self._breaker:
                allowed, left, reset, wait = self._take(
                    keys=[PREFIX + tenant], args=[self.rate.seconds * 1_000_000, self.rate.quota]
                )
        except redis.RedisError:
            return Allowance(True, self.rate, self.rate.quota, 0, 0, is_counted=False)
        return Allowance(bool(allowed), self.rate, left, _seconds(reset), _seconds(wait))


def _seconds(microseconds: int) -> int:
    return math.ceil(microseconds / 1_000_000)
