"""Calls of a repeated step: each is given back what it got, and nothing recorded is made again."""

import asyncio
from typing import Any

import pytest

from agent_tasks import AmbiguousCall, Context, ContextLost, InvalidInput, StepFailed, SyncContext
from tests.database import claimed, commit, query, submitted
from tests.database.driving import Driver, in_threads, value_of
from tests.database.repeated import World, crashed_and_repeated, tried_again


def test_gathered_branches_with_several_calls_each_get_their_own_outcomes_back(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> list[str]:
        async def branch(seconds: float) -> str:
            first = await ctx.call(world.does("fetch", seconds))
            return first + ", " + await ctx.call(world.does("fetch", seconds))

        return list(await asyncio.gather(branch(0.06), branch(0.01)))

    first, second = crashed_and_repeated(driver, step)
    assert first == second
    assert len(world.made) == 4


def test_a_call_within_a_call_shifts_nobody(driver: Driver) -> None:
    def lookup(n: int) -> int:
        return n * 10

    def step(ctx: SyncContext) -> list[int]:
        def outer() -> int:
            return ctx.call(lookup, 1)

        return [ctx.call(outer), ctx.call(lookup, 2)]

    assert crashed_and_repeated(driver, step) == ([10, 20], [10, 20])


def test_tasks_of_a_group_that_are_created_in_order_may_call_in_any(driver: Driver) -> None:
    world, turns = World(), iter([[0.05, 0.0, 0.02], [0.0, 0.05, 0.02]])

    async def step(ctx: Context) -> list[str]:
        delays = next(turns)

        async def branch(n: int) -> str:
            await asyncio.sleep(delays[n])
            return await ctx.call(world.does("same"))

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(branch(n)) for n in range(3)]
        return [task.result() for task in tasks]

    first, second = crashed_and_repeated(driver, step)
    assert first == second
    assert len(world.made) == 3


def test_what_follows_the_order_of_time_gets_outcomes_back_in_that_order(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> list[str]:
        async def fetch(n: int) -> int:
            await ctx.call(world.does(f"fetch {n}", 0.03 * (3 - n)))
            return n

        seen = []
        for one in asyncio.as_completed([fetch(n) for n in range(3)]):
            n = await one
            seen.append(f"{n}: {await ctx.call(world.does('next'))}")
        return seen

    first, second = crashed_and_repeated(driver, step)
    assert first == second == ["2: next 1", "1: next 2", "0: next 3"]


def test_functions_handed_to_threads_are_branches(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> list[str]:
        loop = asyncio.get_running_loop()

        def blocking(n: int) -> str:
            calls = (asyncio.run_coroutine_threadsafe(ctx.call(world.does("same", 0.01), i), loop) for i in range(2))
            return f"{n}: " + ", ".join(call.result() for call in calls)

        return await asyncio.gather(*(asyncio.to_thread(blocking, n) for n in range(2)))

    first, second = crashed_and_repeated(driver, step)
    assert first == second
    assert len(world.made) == 4


@pytest.mark.parametrize("is_async", [True, False])
def test_equal_calls_that_nothing_orders_need_a_key_and_say_so_at_the_first_try(driver: Driver, is_async: bool) -> None:
    world = World()

    async def step(ctx: Context) -> list[str]:
        loop = asyncio.get_running_loop()
        begin = [lambda: asyncio.run_coroutine_threadsafe(ctx.call(world.does("same")), loop).result()] * 2
        return await loop.run_in_executor(None, lambda: in_threads(*begin))

    def plain_step(ctx: SyncContext) -> list[str]:
        return in_threads(*[lambda: ctx.call(world.does("same"))] * 2)

    run = driver.run(submitted(driver.client), step if is_async else plain_step)
    with pytest.raises(AmbiguousCall, match=r"same .* Give each a key: ctx\.using\(key="):
        value_of(run)


def test_a_step_that_catches_the_word_that_a_call_is_ambiguous_is_not_committed(driver: Driver) -> None:
    world = World()

    def step(ctx: SyncContext) -> str:
        try:
            in_threads(*[lambda: ctx.call(world.does("same"))] * 2)
        except InvalidInput:
            return "went on all the same"
        return "well"

    with pytest.raises(AmbiguousCall):
        value_of(driver.run(submitted(driver.client), step))


def test_keys_tell_apart_what_nothing_orders(driver: Driver) -> None:
    world = World()

    def step(ctx: SyncContext) -> list[str]:
        return in_threads(
            lambda: ctx.using(key="a").call(world.does("same")), lambda: ctx.using(key="b").call(world.does("same"))
        )

    first, second = crashed_and_repeated(driver, step)
    assert first == second
    assert len(world.made) == 2


def test_a_key_is_known_wherever_it_is_used_and_its_arguments_are_compared(driver: Driver) -> None:
    world, orders = World(), iter([["a", "b"], ["b", "a"], ["a", "a"], ["b", "a"]])
    arguments = iter([1, 1, 1, 1, 1, 1, 2, 1])

    async def step(ctx: Context) -> dict[str, str]:
        keys = next(orders)
        calls = [ctx.using(key=key).call(world.does("same"), next(arguments)) for key in keys]
        return dict(zip(keys, await asyncio.gather(*calls), strict=True))

    task_id = submitted(driver.client)
    driver.crash(first := driver.run(task_id, step))
    driver.crash(second := driver.run(task_id, step))
    assert value_of(first) == value_of(second)
    driver.crash(third := driver.run(task_id, step))
    with pytest.raises(AmbiguousCall, match=r"'a' .* another call"):
        value_of(third)
    with pytest.raises(ContextLost, match=r"key 'b' .* other arguments"):
        value_of(driver.run(task_id, step))


def test_a_call_that_was_not_made_before_is_refused_where_a_recorded_one_is_due(driver: Driver) -> None:
    world, way = World(), iter(["one", "two"])

    async def step(ctx: Context) -> str:
        return await ctx.call(world.does(next(way)))

    task_id = submitted(driver.client)
    driver.crash(driver.run(task_id, step))
    with pytest.raises(ContextLost, match=r"calls two, .* where one is recorded"):
        value_of(driver.run(task_id, step))
    assert world.made == ["one"]


@pytest.mark.parametrize("how", ["task", "thread"])
def test_a_call_is_refused_where_a_task_is_left_out_whose_calls_are_recorded(driver: Driver, how: str) -> None:
    """It would be made, and paid for, again under another key."""
    world, first = World(), iter([True, False])
    pay = world.does("pay", 0.1)

    async def step(ctx: Context) -> Any:
        if next(first):
            branch = asyncio.create_task(ctx.call(pay)) if how == "task" else in_thread(ctx)
            await asyncio.gather(branch, ctx.call(world.does("flaky", fails=1)))
        return await ctx.call(pay)

    async def in_thread(ctx: Context) -> Any:
        loop = asyncio.get_running_loop()
        return await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(ctx.call(pay), loop).result(10))

    with pytest.raises(ContextLost, match=r"calls pay, .* where pay is recorded"):
        tried_again(driver, step)
    assert world.made.count("pay") == 1


def test_other_arguments_are_another_call(driver: Driver) -> None:
    world, arguments = World(), iter(["a", "b"])

    async def step(ctx: Context) -> str:
        return await ctx.call(world.does("ask"), next(arguments))

    task_id = submitted(driver.client)
    driver.crash(driver.run(task_id, step))
    with pytest.raises(ContextLost, match="ask"):
        value_of(driver.run(task_id, step))
    assert world.made == ["ask"]


def test_recorded_calls_in_another_order_each_get_their_own_outcome(driver: Driver) -> None:
    world, orders = World(), iter([["one", "two"], ["two", "one"]])

    async def step(ctx: Context) -> dict[str, str]:
        return {name: await ctx.call(world.does(name)) for name in next(orders)}

    first, second = crashed_and_repeated(driver, step)
    assert first == second
    assert world.made == ["one", "two"]


@pytest.mark.parametrize("leaves_out", ["a call", "a branch"])
def test_a_step_that_ends_without_a_call_it_made_before_is_not_committed(driver: Driver, leaves_out: str) -> None:
    world, whole = World(), iter([True, False])

    async def step(ctx: Context) -> str:
        await ctx.call(world.does("one"))
        if next(whole):
            two = ctx.call(world.does("two"))
            await (two if leaves_out == "a call" else asyncio.create_task(two))
        return "done"

    task_id = submitted(driver.client)
    driver.crash(driver.run(task_id, step))
    with pytest.raises(ContextLost, match="ended without two"):
        value_of(driver.run(task_id, step))


def test_a_step_that_catches_the_loss_of_its_context_is_not_committed(driver: Driver) -> None:
    world, way = World(), iter(["one", "two"])

    async def step(ctx: Context) -> str:
        try:
            return await ctx.call(world.does(next(way)))
        except Exception:
            return "a fallback"

    task_id = submitted(driver.client)
    driver.crash(driver.run(task_id, step))
    with pytest.raises(ContextLost):
        value_of(driver.run(task_id, step))


def test_calls_have_keys_of_their_own_that_a_repeat_keeps(driver: Driver) -> None:
    world = World()

    def step(ctx: SyncContext) -> str:
        def outer() -> str:
            ctx.call(world.key, ctx, "inner")
            return world.key(ctx, "outer")

        ctx.call(outer)
        ctx.call(world.key, ctx, "next")
        raise OSError("stands for a failure outside of calls") if len(world.made) < 4 else StepFailed("over")

    task_id = submitted(driver.client)
    driver.settle(driver.run(task_id, step))
    driver.settle(driver.run(task_id, step))
    assert {len(keys) for keys in world.keys.values()} == {1}
    assert len(set.union(*world.keys.values())) == 3


def test_two_undo_functions_of_one_task_and_the_step_that_failed_have_different_keys(driver: Driver) -> None:
    world = World()

    def step(ctx: SyncContext) -> None:
        ctx.call(world.key, ctx, ctx.step)
        if ctx.step == "pay":
            raise StepFailed("no money")

    task_id = submitted(driver.client)
    query(driver.client, "UPDATE agent_tasks.tasks SET step = 'hotel' WHERE id = %s", task_id)
    for following in ("flight", "pay"):
        taken = claimed(driver.client, task_id)
        with driver.client.database.connection() as connection:
            commit(connection, taken, following, undoable=True)
    while (row := driver.settle(driver.run(task_id, step)))["finished_at"] is None:
        assert row["ending"]["status"] == "failed"
    assert list(world.keys) == ["pay", "undo:flight", "undo:hotel"]
    assert len(set.union(*world.keys.values())) == 3
