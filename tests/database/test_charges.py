"""Charges of steps that are repeated."""

import asyncio

from agent_tasks import Budget, BudgetExhausted, Context
from tests.database import query, row_of, submitted
from tests.database.driving import Driver, value_of
from tests.database.repeated import World, crashed_and_repeated


def test_a_charge_counts_once_however_often_its_step_is_repeated(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        async def branch(tokens: int) -> None:
            await ctx.call(world.does("model"), tokens)
            await ctx.charge(tokens=tokens)

        await asyncio.gather(branch(10), branch(10), branch(30))
        if world.made.count("tool") < 2:
            await ctx.call(world.does("tool", fails=2))
        return await ctx.call(world.does("tool", fails=2))

    task_id = submitted(driver.client)
    driver.settle(driver.run(task_id, step))
    driver.crash(driver.run(task_id, step))
    driver.settle(driver.run(task_id, step))
    row = row_of(driver.client, task_id)
    assert row["spent_tokens"] == 50
    assert [c["n"] for c in query(driver.client, "SELECT count(*) AS n FROM agent_tasks.charges")] == [3]


def test_a_charge_within_a_call_counts_each_time_the_call_is_made(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        async def model() -> str:
            await ctx.charge(tokens=7)
            return await world.does("model", fails=1)()

        return await ctx.call(model)

    task_id = submitted(driver.client)
    driver.settle(driver.run(task_id, step))
    driver.crash(driver.run(task_id, step))
    assert value_of(driver.run(task_id, step)) == "model 2"
    assert row_of(driver.client, task_id)["spent_tokens"] == 14


def test_a_step_sees_its_charges_as_it_saw_them_first(driver: Driver) -> None:
    async def step(ctx: Context) -> int:
        charged = 0
        try:
            while True:
                await ctx.charge(tokens=40)
                charged += 1
        except BudgetExhausted:
            return charged

    assert crashed_and_repeated(driver, step, budget=Budget(tokens=100)) == (2, 2)
