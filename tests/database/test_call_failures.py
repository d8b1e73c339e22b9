"""Recorded calls: failures, those that the step went on from and those that ended a try."""

import asyncio
import itertools

import pytest

from agent_tasks import Context, StepFailed, SyncContext, UpstreamUnavailable
from tests.database import query, submitted
from tests.database.driving import Driver, value_of
from tests.database.repeated import World, crashed_and_repeated, tried_again


def test_a_failure_that_the_step_went_on_from_is_seen_again(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> list[str]:
        try:
            draft = await ctx.call(world.does("big", fails=1))
        except ConnectionError as error:
            draft = f"{error}, so {await ctx.call(world.does('small'))}"
        return [draft, await ctx.call(world.does("small"))]

    assert crashed_and_repeated(driver, step) == (["big is down, so small 1", "small 2"],) * 2
    assert world.made == ["big", "small", "small"]


def test_the_call_whose_failure_ended_a_try_is_made_again_and_one_that_was_caught_is_not(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        try:
            await ctx.call(world.does("primary", fails=9))
        except ConnectionError:
            await ctx.call(world.does("fallback"))
        return await ctx.call(world.does("last", fails=1))

    assert tried_again(driver, step) == "last 2"
    assert world.made == ["primary", "fallback", "last", "last"]


def test_a_failure_that_is_told_of_by_a_call_and_raised_again_is_tried_again(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        try:
            return await ctx.call(world.does("ask", fails=1))
        except ConnectionError as error:
            await ctx.call(world.does("report"))
            raise UpstreamUnavailable("not now") from error

    assert tried_again(driver, step) == "ask 2"
    assert world.made == ["ask", "report", "ask"]


def test_after_a_crash_a_failure_that_had_not_ended_the_try_yet_is_seen_again(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        return await ctx.call(world.does("ask", fails=1))

    task_id = submitted(driver.client)
    driver.crash(driver.run(task_id, step))
    second = driver.run(task_id, step)
    with pytest.raises(ConnectionError, match="ask is down") as caught:
        value_of(second)
    assert caught.value.__notes__
    assert world.made == ["ask"]
    driver.settle(second)
    assert value_of(driver.run(task_id, step)) == "ask 2"


def test_a_resumed_task_makes_the_call_again_that_ended_the_old_one(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        await ctx.call(world.does("first"))
        try:
            return await ctx.call(world.does("ask", fails=1))
        except ConnectionError as error:
            raise StepFailed("no more tries") from error

    task_id = submitted(driver.client)
    assert driver.settle(driver.run(task_id, step))["status"] == "failed"
    again = driver.client.get(task_id).resume()
    assert value_of(driver.run(again.id, step)) == "ask 2"
    assert world.made == ["first", "ask", "ask"]


def test_a_time_out_that_the_step_went_on_from_is_seen_again(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> list[str]:
        try:
            async with asyncio.timeout(0.1):
                found = await ctx.call(world.does("slow", 30 if "slow" not in world.made else 0))
        except TimeoutError:
            found = await ctx.call(world.does("quick"))
        return [found, await ctx.call(world.does("last"))]

    assert crashed_and_repeated(driver, step) == (["quick 1", "last 1"],) * 2
    assert world.made == ["slow", "quick", "last"]


@pytest.mark.parametrize("how", ["fails", "times out"])
def test_a_failure_is_seen_again_with_a_warning_though_an_argument_of_its_call_varies(
    driver: Driver, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    world = World()
    tries = itertools.count(1)

    async def step(ctx: Context) -> list[str]:
        number = next(tries)
        slow = 30 if how == "times out" and number == 1 else 0
        try:
            async with asyncio.timeout(0.1 if how == "times out" else 60):
                draft = await ctx.call(world.does("model", slow, fails=how == "fails"), "big", number)
        except (ConnectionError, TimeoutError):
            draft = await ctx.call(world.does("small"), "draft")
        return [draft, await ctx.call(world.does("small"), "polish")]

    assert crashed_and_repeated(driver, step) == (["small 1", "small 2"],) * 2
    assert world.made == ["model", "small", "small"]
    assert "call repeated with other arguments" in caplog.text


def test_a_branch_that_its_group_cancelled_is_made_again_with_the_failure(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        async with asyncio.TaskGroup() as group:
            a = group.create_task(ctx.call(world.does("a", 0.05, fails=1)))
            b = group.create_task(ctx.call(world.does("b", 30 if "b" not in world.made else 0)))
        return f"{a.result()}, {b.result()}"

    assert tried_again(driver, step) == "a 2, b 2"


def test_a_gathered_call_that_goes_on_when_another_one_failed_is_recorded_before_the_step_is_tried_again(
    driver: Driver,
) -> None:
    world = World()

    async def step(ctx: Context) -> list[str]:
        return list(
            await asyncio.gather(
                ctx.call(world.does("flaky", fails=1)), ctx.call(world.does("pay", 0.3), at_most_once=True)
            )
        )

    assert tried_again(driver, step) == ["flaky 2", "pay 1"]
    assert world.made.count("pay") == 1


def test_a_call_of_a_thread_is_recorded_before_its_plain_step_is_tried_again(driver: Driver) -> None:
    world = World()

    def step(ctx: SyncContext) -> str:
        import threading

        begun, found = threading.Event(), []

        def slow() -> str:
            begun.set()
            return ctx.call(world.does("slow", 0.2))

        thread = threading.Thread(target=lambda: found.append(slow()))
        thread.start()
        begun.wait(10)
        ctx.call(world.does("ask", fails=1))
        thread.join()
        return found[0]

    assert tried_again(driver, step) == "slow 1"
    assert world.made.count("slow") == 1


def test_a_step_that_has_ended_begins_no_more_calls(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        async def for_ever() -> None:
            while True:
                await ctx.call(world.does("poll", 0.01))

        ticking = asyncio.create_task(for_ever())
        await ctx.call(world.does("work", 0.05))
        assert not ticking.done()
        return "done"

    run = driver.run(submitted(driver.client), step)
    assert value_of(run) == "done"
    statuses = query(driver.client, "SELECT status FROM agent_tasks.calls WHERE task_id = %s", run.claim.id)
    assert {row["status"] for row in statuses} == {"completed"}
    assert driver.settle(run)["status"] == "completed"
