"""The rate of a tenant's requests: exact over all gateways, and open where Redis is away."""

import logging
import threading
from collections.abc import Iterator

import pytest
import redis

from agent_tasks import AgentTasks
from agent_tasks.gateway.allowance import Allowance
from agent_tasks.gateway.rate import PREFIX, RateLimit
from agent_tasks.task.rate import Rate
from tests.eventually import eventually
from tests.proxy import Proxy, address_of, through


def limit(client: AgentTasks, rate: str) -> RateLimit:
    return RateLimit(client.redis, Rate.parse(rate))


def let_through(limit: RateLimit, tenant: str, requests: int) -> list[Allowance]:
    return [taken for _ in range(requests) if (taken := limit.take(tenant)).allowed]


def test_as_many_as_the_quota_come_at_once_and_no_more(client: AgentTasks) -> None:
    hourly = limit(client, "7/hour")
    assert [taken.remaining for taken in let_through(hourly, "acme", 10)] == [6, 5, 4, 3, 2, 1, 0]
    refused = hourly.take("acme")
    assert (refused.allowed, refused.limit, refused.remaining) == (False, 7, 0)
    assert 0 < refused.retry_after_seconds <= 515  # a seventh of an hour
    assert 3590 < refused.reset_seconds <= 3600


def test_a_large_quota_is_as_exact_as_a_small_one(client: AgentTasks) -> None:
    assert len(let_through(limit(client, "1001/day"), "acme", 1100)) == 1001


def test_each_tenant_has_a_bucket_of_its_own(client: AgentTasks) -> None:
    hourly = limit(client, "2/hour")
    assert len(let_through(hourly, "acme", 3)) == 2
    assert len(let_through(hourly, "other", 3)) == 2
    assert len(let_through(hourly, "", 3)) == 2


def trips(limit: RateLimit) -> list[int]:
    """How many requests are asked for in each trip to Redis from now on."""
    asked: list[int] = []
    script = limit._script

    def counted(keys: list[str], args: list[int]) -> object:
        asked.append(args[2])
        return script(keys=keys, args=args)

    limit._script = counted
    return asked


def test_a_tenant_that_sends_much_costs_few_trips_and_gets_its_quota_exactly(client: AgentTasks) -> None:
    hourly = limit(client, "1000/hour")
    asked = trips(hourly)
    found = let_through(hourly, "acme", 1010)
    assert [taken.remaining for taken in found] == list(range(999, -1, -1))
    assert asked[:6] == [1, 2, 4, 8, 10, 10]
    assert len(asked) < 150


def test_what_did_not_come_in_a_tenth_of_the_window_is_lost_and_less_is_asked_for(client: AgentTasks) -> None:
    now = [0.0]
    hourly = RateLimit(client.redis, Rate.parse("1000/hour"), clock=lambda: now[0])
    asked = trips(hourly)
    let_through(hourly, "acme", 9)  # of 15 that were taken
    assert asked == [1, 2, 4, 8]
    now[0] = 361.0
    let_through(hourly, "acme", 2)
    assert asked == [1, 2, 4, 8, 2]
    now[0] = 1000.0
    assert [taken.remaining for taken in let_through(hourly, "acme", 1)] == [1000 - 15 - 2 - 1]
    assert asked[5:] == [2]


def test_two_gateways_that_take_many_at_a_time_let_no_more_through_than_the_quota(client: AgentTasks) -> None:
    here, there = limit(client, "1000/day"), limit(client, "1000/day")
    found = [each for _ in range(700) for limit_ in (here, there) if (each := limit_.take("acme")).allowed]
    assert len(found) == 1000


def test_all_gateways_share_one_bucket(client: AgentTasks) -> None:
    other = AgentTasks(client.settings)
    found: list[Allowance] = []

    def ask(limit: RateLimit) -> None:
        found.extend(let_through(limit, "acme", 40))

    asking = [threading.Thread(target=ask, args=(limit(c, "50/hour"),)) for c in (client, other) for _ in range(2)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    other.close()
    assert sorted(taken.remaining for taken in found) == list(range(50))


def test_a_request_is_let_through_again_after_its_interval(client: AgentTasks) -> None:
    fast = limit(client, "5/second")
    while fast.take("acme").allowed:
        pass
    assert fast.take("acme").retry_after_seconds == 1
    assert eventually(lambda: fast.take("acme").allowed)


def test_a_bucket_is_gone_when_it_would_be_empty(client: AgentTasks) -> None:
    limit(client, "2/second").take("acme")
    assert 0 < client.redis.pttl(f"{PREFIX}acme") <= 502  # type: ignore[operator]
    assert eventually(lambda: not client.redis.exists(f"{PREFIX}acme"))


def test_a_bucket_outlives_the_scripts_of_redis(client: AgentTasks) -> None:
    hourly = limit(client, "2/hour")
    assert hourly.take("acme").remaining == 1
    client.redis.script_flush()
    assert hourly.take("acme").remaining == 0


def test_a_clock_that_goes_back_takes_nothing_away(client: AgentTasks) -> None:
    hourly = limit(client, "4/hour")
    hourly.take("acme")
    client.redis.hincrby(f"{PREFIX}acme", "at", 10**10)
    assert hourly.take("acme").remaining == 2


def test_the_headers_are_those_of_the_draft(client: AgentTasks) -> None:
    secondly = limit(client, "1000/second")
    assert secondly.take("acme").headers == {
        "RateLimit-Policy": '"default";q=1000;w=1',
        "RateLimit": '"default";r=999;t=1',
    }
    hourly = limit(client, "1/hour")
    hourly.take("other")
    refused = hourly.take("other")
    assert refused.headers["Retry-After"] == str(refused.retry_after_seconds)
    assert refused.headers["RateLimit"] == f'"default";r=0;t={refused.reset_seconds}'


@pytest.fixture
def swallowed(client: AgentTasks) -> Iterator[Proxy]:
    """Before a Redis that takes what is sent and answers nothing."""
    with Proxy(address_of(client.settings.redis_url)) as proxy:
        yield proxy


def test_every_request_is_let_through_where_redis_is_away(client: AgentTasks, caplog: pytest.LogCaptureFixture) -> None:
    away = RateLimit(redis.Redis(port=1), Rate.parse("1/hour"))
    with caplog.at_level(logging.WARNING):
        assert len(let_through(away, "acme", 50)) == 50
    assert away.take("acme").headers == {}
    assert len([r for r in caplog.records if "Redis cannot be used" in r.message]) == 1


def test_a_redis_that_does_not_answer_is_waited_for_once(client: AgentTasks, swallowed: Proxy) -> None:
    far = AgentTasks(client.settings.model_copy(update={"redis_url": through(client.settings.redis_url, swallowed)}))
    hourly = limit(far, "1/hour")
    assert hourly.take("acme").is_counted
    swallowed.swallow()
    assert hourly.take("acme").allowed
    asked: list[object] = []
    far.redis.connection_pool.get_connection = lambda *_, **__: asked.append(1)  # type: ignore[method-assign]
    assert len(let_through(hourly, "acme", 20)) == 20
    assert asked == []
    far.close()
