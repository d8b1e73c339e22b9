"""Waiting: woken by word on Redis, by polling without it, and never for longer than asked."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent_tasks import AgentTasks, BudgetExhausted, InvalidState, PartialCompletion, StepFailed, TaskCancelled
from agent_tasks.aio import AsyncTaskHandle
from agent_tasks.client import following
from agent_tasks.doorbell.mirror import key
from agent_tasks.transitions import spend
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.complete import Finish
from agent_tasks.transitions.fail import fail
from tests.database import claimed
from tests.database.single import complete
from tests.eventually import eventually


def subscribers(client: AgentTasks, task_id: object) -> int:
    return client.redis.pubsub_numsub(key(task_id))[0][1]  # type: ignore[arg-type, index]


def end(client: AgentTasks, taken: Claim, *, publish: bool = True) -> None:
    with client.database.connection() as connection:
        row = complete(connection, Finish(taken, '"done"', 0))
    if publish:
        client.publish([row])


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits looks by itself after a minute only: what wakes it sooner is word."""
    monkeypatch.setattr(following, "FIRST_POLL_SECONDS", 60.0)
    monkeypatch.setattr(following, "SLOWEST_POLL_SECONDS", 60.0)


def test_word_wakes_waiters_at_once(client: AgentTasks, seldom: None) -> None:
    taken = claimed(client)
    task = client.get(taken.id)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(task.result, 30)
        eventually(lambda: subscribers(client, task.id))
        end(client, taken)
        assert waiting.result() == "done"
    eventually(lambda: not subscribers(client, task.id))


def test_fifty_wait_for_one_task_over_one_connection(client: AgentTasks, seldom: None) -> None:
    taken = claimed(client)
    with ThreadPoolExecutor(50) as threads:
        waiting = [threads.submit(client.get(taken.id).result, 20) for _ in range(50)]
        eventually(lambda: len(client.notices._callbacks.get(key(taken.id), ())) == 50)
        assert subscribers(client, taken.id) == 1
        end(client, taken)
        assert [future.result() for future in waiting] == ["done"] * 50


def test_fifty_wait_for_fifty_tasks(client: AgentTasks) -> None:
    claims = [claimed(client) for _ in range(50)]
    with ThreadPoolExecutor(50) as threads:
        waiting = [threads.submit(client.get(taken.id).result, 20) for taken in claims]
        eventually(lambda: len(client.notices._callbacks) == 50)
        for taken in claims:
            end(client, taken)
        assert [future.result() for future in waiting] == ["done"] * 50


def test_an_async_caller_waits_for_fifty_tasks_and_blocks_no_loop(client: AgentTasks) -> None:
    claims = [claimed(client) for _ in range(50)]

    async def main() -> list[object]:
        waiting = [asyncio.create_task(AsyncTaskHandle(client.get(taken.id)).result(20)) for taken in claims]
        while len(client.notices._callbacks) < 50:
            await asyncio.sleep(0.01)
        for taken in claims:
            await asyncio.to_thread(end, client, taken)
        return await asyncio.gather(*waiting)

    assert asyncio.run(main()) == ["done"] * 50


def test_lost_word_is_made_up_for_by_a_look_at_postgres(client: AgentTasks) -> None:
    taken = claimed(client)
    task = client.get(taken.id)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(task.wait, 10)
        eventually(lambda: subscribers(client, task.id))
        end(client, taken, publish=False)
        assert waiting.result().result == "done"


def test_without_redis_waiting_polls_postgres(client: AgentTasks) -> None:
    away = AgentTasks(client.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    taken = claimed(client)
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(away.get(taken.id).result, 20) for _ in range(3)]
        eventually(lambda: len(away.notices._callbacks.get(key(taken.id), ())) == 3)
        end(client, taken)
        assert [future.result() for future in waiting] == ["done"] * 3
    away.close()


@pytest.mark.parametrize("timeout", [0, 0.2])
@pytest.mark.parametrize("redis", ["here", "away"])
def test_a_wait_that_is_too_long_ends_in_time(client: AgentTasks, seldom: None, timeout: float, redis: str) -> None:
    away = AgentTasks(client.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    task = (client if redis == "here" else away).get(client.submit("echo").id)
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="still pending"):
        task.wait(timeout=timeout)
    with pytest.raises(TimeoutError):
        list(task.events(follow=True, timeout=timeout))
    assert time.monotonic() - began < 20
    assert task.snapshot().status == "pending"
    away.close()


def test_a_task_that_has_ended_is_not_waited_for(client: AgentTasks) -> None:
    taken = claimed(client)
    end(client, taken)
    assert client.get(taken.id).result(timeout=0) == "done"


def test_each_end_is_raised_as_its_typed_error(client: AgentTasks) -> None:
    failed, early, late, cancelled = (claimed(client) for _ in range(4))
    over = BudgetExhausted.of("seconds", 5, 6).info
    broke = StepFailed("broke", step="echo").info.model_copy(update={"checkpoint": 3})
    with client.database.connection() as connection:
        spend.keep_partial(connection, early, '["half"]')
        rows = [fail(connection, failed, broke), fail(connection, early, over), fail(connection, late, over)]
    client.publish(rows)
    client.get(cancelled.id).cancel()
    with pytest.raises(StepFailed, match="broke") as raised:
        client.get(failed.id).result(5)
    assert raised.value.info == broke
    with pytest.raises(BudgetExhausted):
        client.get(late.id).result(5)
    with pytest.raises(TaskCancelled):
        client.get(cancelled.id).result(5)
    with pytest.raises(PartialCompletion) as partial:
        client.get(early.id).result(5)
    assert partial.value.details["result"] == ["half"]
    assert partial.value.details["cause"]["type"] == "budget_exhausted"


def test_following_events_gives_each_once_in_order_until_the_end(client: AgentTasks) -> None:
    task = client.submit("echo")
    seen: list[int] = []
    first = threading.Event()

    def follow() -> None:
        for event in task.events(follow=True, timeout=20):
            seen.append(event.seq)
            first.set()

    with ThreadPoolExecutor(1) as threads:
        following = threads.submit(follow)
        assert first.wait(10)
        taken = claimed(client, task.id)
        with client.database.connection() as connection:
            for n in range(1200):
                spend.emit(connection, taken, "found", str(n))
        end(client, taken)
        following.result(20)
    assert seen == list(range(1, 1206))
    assert [event.seq for event in task.events(after=1200)] == list(range(1201, 1206))


def test_only_what_has_ended_is_acknowledged_and_once_is_enough(client: AgentTasks) -> None:
    taken = claimed(client)
    task = client.get(taken.id)
    with pytest.raises(InvalidState):
        task.acknowledge()
    end(client, taken)
    first = task.acknowledge().acknowledged_at
    assert first is not None
    assert task.acknowledge().acknowledged_at == first
