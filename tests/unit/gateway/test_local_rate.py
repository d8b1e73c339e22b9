"""The rate of a gateway without Redis: each tenant's own, which comes back with time."""

import pytest

from agent_tasks.gateway import local_rate
from agent_tasks.gateway.local_rate import LocalRateLimit
from agent_tasks.task.rate import Rate


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def limit(clock: Clock) -> LocalRateLimit:
    return LocalRateLimit(Rate.parse("10/second"), clock)


def test_as_many_as_the_quota_are_let_through_and_then_one_for_each_part_of_the_window() -> None:
    clock = Clock()
    rate = limit(clock)
    assert [rate.take("acme").remaining for _ in range(10)] == list(range(9, -1, -1))
    refused = rate.take("acme")
    assert (refused.allowed, refused.remaining, refused.retry_after_seconds, refused.reset_seconds) == (False, 0, 1, 1)
    assert refused.headers["Retry-After"] == "1"
    clock.now += 0.1
    assert rate.take("acme").allowed
    assert not rate.take("acme").allowed
    clock.now += 60
    assert [rate.take("acme").allowed for _ in range(11)] == [True] * 10 + [False]


def test_tenants_are_counted_apart() -> None:
    rate = limit(Clock())
    for _ in range(10):
        rate.take("acme")
    assert not rate.take("acme").allowed
    assert rate.take("other").allowed


def test_buckets_that_are_empty_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_rate, "_MOST_TENANTS", 3)
    clock = Clock()
    rate = limit(clock)
    rate.take("old")
    clock.now += 1
    for tenant in ("a", "b", "c"):
        rate.take(tenant)
    assert set(rate._empty_at) == {"a", "b", "c"}
