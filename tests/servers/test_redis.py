"""A Redis that hangs, is full, loses connections or is gone for long: nobody waits for it, and nobody ends."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import pytest

from agent_tasks import AgentTasks, Settings
from agent_tasks.aio import AsyncAgentTasks
from tests.database import query
from tests.eventually import eventually
from tests.processes import Processes
from tests.proxy import Proxy, address_of, through


@pytest.fixture
def proxy(settings: Settings) -> Iterator[Proxy]:
    with Proxy(address_of(settings.redis_url)) as proxy:
        yield proxy


@pytest.fixture
def far(settings: Settings, proxy: Proxy) -> Iterator[AgentTasks]:
    """A program that reaches Redis through the proxy."""
    client = AgentTasks(settings.model_copy(update={"redis_url": through(settings.redis_url, proxy)}))
    yield client
    proxy.flow()
    client.close()


def pass_time(seconds: float) -> None:
    threading.Event().wait(seconds)


def seconds(function: Callable[[], Any]) -> float:
    begun = monotonic()
    function()
    return monotonic() - begun


@pytest.mark.parametrize("when", ["from the start", "later"])
def test_with_redis_hung_no_call_takes_two_seconds(
    client: AgentTasks, far: AgentTasks, proxy: Proxy, when: str
) -> None:
    tasks = [client.get(client.submit("echo", {"waits_for": ["go"]}).id) for _ in range(3)]
    if when == "later":
        far.submit("echo")
        far.get(tasks[0].id)
    proxy.swallow()
    breaker_opens_again = 1.2
    took: dict[str, float] = {}
    for name, call in {
        "submit": lambda: far.submit("echo"),
        "submit_many": lambda: far.submit_many("echo", [{}] * 100),
        "snapshot": lambda: far.get(tasks[0].id).snapshot(),
        "signal": lambda: far.get(tasks[1].id).signal("go", 1),
        "cancel": lambda: far.get(tasks[2].id).cancel(),
        "living": lambda: far.living(),
    }.items():
        took[name] = seconds(call)
        pass_time(breaker_opens_again)
    assert {name: taken for name, taken in took.items() if taken >= 2} == {}


def test_a_wait_with_redis_hung_ends_in_its_time(far: AgentTasks, proxy: Proxy) -> None:
    proxy.swallow()
    task = far.submit("echo")
    begun = monotonic()
    with pytest.raises(TimeoutError):
        task.wait(timeout=1)
    assert monotonic() - begun < 3


def test_with_redis_hung_the_loop_of_async_callers_never_stands_still(far: AgentTasks, proxy: Proxy) -> None:
    tasks = AsyncAgentTasks(far)

    async def longest_pause() -> float:
        worst = 0.0

        async def tick() -> None:
            nonlocal worst
            while True:
                begun = monotonic()
                await asyncio.sleep(0.01)
                worst = max(worst, monotonic() - begun)

        handles = [await tasks.submit("echo") for _ in range(3)]
        ticking = asyncio.create_task(tick())
        await asyncio.gather(*(handle.wait(timeout=6) for handle in handles), return_exceptions=True)
        ticking.cancel()
        return worst

    proxy.swallow()
    assert asyncio.run(longest_pause()) < 0.5


def test_bells_that_redis_did_not_take_are_rung_when_it_is_back(
    far: AgentTasks, client: AgentTasks, proxy: Proxy
) -> None:
    far.submit("echo")
    client.redis.flushall()
    proxy.swallow()
    tasks = [far.submit("echo"), *far.submit_many("echo", [{}] * 5)]
    assert client.redis.llen("agents\x06\x163") == 0
    proxy.flow()
    begun = monotonic()
    eventually(lambda: client.redis.llen("agents\x06\x163") >= len(tasks), timeout=20)
    assert monotonic() - begun < 5


@pytest.mark.parametrize("how", ["swallowed", "cut"])
def test_after_redis_was_gone_for_long_work_goes_on_within_seconds(
    client: AgentTasks, settings: Settings, proxy: Proxy, processes: Processes, how: str
) -> None:
    processes.fleet(redis_url=through(settings.redis_url, proxy), ring_seconds=10)
    assert client.submit("echo", {"value": 1}).result(timeout=30) == 1
    proxy.swallow()
    if how == "cut":
        proxy.cut()
    task = client.submit("echo", {"value": 2})
    client.redis.flushall()  # its bell is lost, too
    pass_time(40)
    assert task.stored().status == "pending"
    proxy.flow()
    begun = monotonic()
    assert task.result(timeout=60) == 2
    assert monotonic() - begun < 5


def test_a_full_redis_and_a_broken_connection_end_no_process(
    client: AgentTasks, settings: Settings, proxy: Proxy, processes: Processes
) -> None:
    (worker,) = processes.fleet(redis_url=through(settings.redis_url, proxy))
    assert client.submit("echo", {"value": 1}).result(timeout=30) == 1
    client.redis.config_set("maxmemory", 1)
    try:
        task = client.submit("echo", {"value": 2})
        proxy.cut()
        late = processes.worker(redis_url=through(settings.redis_url, proxy), ready=False)
        eventually(lambda: "Redis is full" in late.output and "test ready" in late.output, timeout=30)
        eventually(lambda: worker.output.count("Redis is full") >= 1, timeout=30)
        assert all(process.is_alive for process in processes.all)
    finally:
        client.redis.config_set("maxmemory", 0)
    assert task.result(timeout=30) == 2
    assert query(client, "SELECT DISTINCT status FROM agent_tasks.tasks") == [{"status": "completed"}]
    assert all(process.is_alive for process in processes.all)
