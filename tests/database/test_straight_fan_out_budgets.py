"""Fan-outs of steps written straight down: budgets, which are shared with the children."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from agent_tasks import Budget, BudgetExhausted, Context, FanOut
from agent_tasks.engine.steps.spawning import Spawning
from agent_tasks.transitions.call_in import call_in
from agent_tasks.transitions.wake import wake
from tests.database import fall_due, query, row_of
from tests.database.children import NOTHING_RESERVED, reserved_of, run_child
from tests.database.courses import Course, made, make
from tests.database.fanning import children_of, echoes, end_all, fans, ids_of, may_undo, until_spawned


def test_budgets_are_reserved_and_what_is_left_comes_back(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        await ctx.fan_out(echoes(1, 2), reserve=Budget(tokens=100))
        return ctx.budget.tokens

    c = course(step, budget=Budget(tokens=1100, steps=20))
    c.parks()
    assert [row["budget_tokens"] for row in children_of(c)] == [500, 500]
    assert reserved_of(c.driver.client, c.task_id)["tokens"] == 1000
    end_all(c)
    assert reserved_of(c.driver.client, c.task_id) == NOTHING_RESERVED
    assert c.ends() == 1100


def test_gathered_fan_outs_share_what_is_there(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        await asyncio.gather(*(ctx.fan_out(echoes(n), reserve=Budget(tokens=400)) for n in range(2)))

    c = course(step, budget=Budget(tokens=1000))
    c.fails()  # the second finds nothing above the reserve
    assert reserved_of(c.driver.client, c.task_id)["tokens"] <= 600


_SPENT = {
    "tokens": ("spent_tokens = 60", Budget(tokens=100), 40),
    "reserved": ("held_tokens = 60", Budget(tokens=100), 40),
    "usd": ("spent_usd = 0.3", Budget(usd=0.7), 0.4),
    "steps": ("spent_steps = 5", Budget(steps=12), 5),
    "calls": ("spent_calls = 5", Budget(calls=12), 7),
}


@pytest.mark.parametrize("what", _SPENT)
def test_what_is_spent_while_children_are_made_is_not_theirs(
    course: Callable[..., Course], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    change, budget, left = _SPENT[what]
    c = course(fans, budget=budget)
    divided = Spawning.spawn

    def spend(*args: Any) -> Any:
        monkeypatch.undo()
        spawned = divided(*args)
        query(c.driver.client, f"UPDATE agent_tasks.tasks SET {change} WHERE id = %s", c.task_id)
        return spawned

    monkeypatch.setattr(Spawning, "spawn", spend)
    c.parks()
    name = "tokens" if what == "reserved" else what
    given = [float(child[f"budget_{name}"]) for child in children_of(c)]
    assert len(given) == 2
    assert left - 1 <= sum(given) <= left + 1e-9


def test_a_fan_out_that_is_returned_leaves_what_cancelled_children_still_have(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        mine = asyncio.create_task(ctx.fan_out(echoes(1), reserve=Budget(tokens=400)))
        for child in await until_spawned(c):
            await asyncio.to_thread(may_undo, c, child)
        mine.cancel()
        with suppress(asyncio.CancelledError):
            await mine
        return FanOut(echoes(2), then="echo")

    c = course(step, budget=Budget(tokens=1000))
    c.run()
    undoing, other = children_of(c)
    if undoing["parent_call"] is None:
        undoing, other = other, undoing
    assert undoing["finished_at"] is None
    assert (undoing["budget_tokens"], other["budget_tokens"]) == (600, 400)
    assert reserved_of(c.driver.client, c.task_id)["tokens"] == 1000


def test_a_refusal_is_recorded_with_what_follows_from_it(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        try:
            await ctx.fan_out(echoes(1, 2))
        except BudgetExhausted as error:
            await ctx.call(make, "instead")
            await ctx.wait("go")
            return error.details["resource"]

    c = course(step, budget=Budget(steps=1))
    c.parks()
    assert not ids_of(c)
    query(c.driver.client, "UPDATE agent_tasks.tasks SET budget_steps = 100 WHERE id = %s", c.task_id)
    c.task.signal("go")
    assert c.ends() == "steps"
    assert made == ["instead"]


def test_children_are_called_in_when_only_the_reserve_is_left(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        found, _ = await asyncio.gather(ctx.fan_out(echoes(1, 2), reserve=50), ctx.fan_out(echoes(3), reserve=10))
        return [outcome.status for outcome in found]

    c = course(step, budget=Budget(seconds=100))
    waits = c.parks()["waiting_for"]["waits"]
    assert [wait["until"] > wait["since"] for wait in waits] == [True, True]
    first, *_ = ids_of(c)
    run_child(c.driver.client, first)
    over = 'UPDATE agent_tasks.calls SET wait = wait || \'{"until": "2001-01-01T00:00:00Z"}\''
    query(c.driver.client, f"{over} WHERE task_id = %s AND children_left = 1 AND ordinal = 0", c.task_id)
    fall_due(c.driver.client, c.task_id)
    with c.driver.client.database.transaction() as connection:
        assert not wake(connection, limit=10, ring_seconds=60)
        call_in(connection, limit=10, ring_seconds=60)
    assert [row["status"] for row in children_of(c)] == ["completed", "timeout", "pending"]
    assert row_of(c.driver.client, c.task_id)["status"] == "pending"
    c.parks()
    end_all(c)
    assert c.ends() == ["completed", "timeout"]
