"""Fan-outs of straight-line steps: a step spawns children, is parked, and goes on with their outcomes."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agent_tasks import Context
from agent_tasks.engine.steps import commit
from tests.database import Row, query, row_of
from tests.database.children import broken, run_child, types_of
from tests.database.courses import Course, made, make
from tests.database.fanning import both, echoes, end_all, fans, ids_of, shown, until_spawned


@both
def test_a_step_is_parked_until_its_children_have_ended(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    row = c.parks()
    assert (row["status"], row["worker"], row["step_number"], row["children_left"]) == ("waiting", None, 0, 2)
    waiting = c.task.snapshot().waiting_for
    assert waiting is not None
    assert (waiting.kind, waiting.name) == ("children", "2 children")
    first, second = ids_of(c)
    run_child(c.driver.client, second)
    assert row_of(c.driver.client, c.task_id)["status"] == "waiting"
    run_child(c.driver.client, first)
    assert row_of(c.driver.client, c.task_id)["status"] == "pending"
    assert c.ends() == [[0, "echo", "completed", "done"], [1, "echo", "completed", "done"]]
    assert len(ids_of(c)) == 2
    row = row_of(c.driver.client, c.task_id)
    assert (row["status"], row["children_left"], row["attempt"]) == ("completed", 0, 1)
    types = types_of(c.driver.client, c.task_id)
    assert [one for one in types if one in ("spawned", "waiting", "joined")] == ["spawned", "waiting", "joined"]


def test_what_children_spent_is_the_parents_when_it_goes_on(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        await ctx.fan_out(echoes(1, 2))
        return ctx.spent.steps

    c = course(step)
    c.parks()
    end_all(c)
    assert c.ends() == 2
    assert row_of(c.driver.client, c.task_id)["spent_steps"] == 3


def test_no_children_are_no_wait(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        return await ctx.fan_out([])

    assert course(step).ends() == []


def test_children_begin_at_once_and_may_end_while_the_step_does_something_else(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        fan_out = asyncio.create_task(ctx.fan_out(echoes(1)))
        for child in await until_spawned(c):
            await asyncio.to_thread(run_child, c.driver.client, child)
        while not fan_out.done():
            await asyncio.sleep(0.01)
        return [fan_out.result()[0].result, ctx.spent.steps]

    c = course(step)
    assert c.ends() == ["done", 1]


def test_children_that_end_just_before_the_park_wake_the_step(
    course: Callable[..., Course], monkeypatch: pytest.MonkeyPatch
) -> None:
    park = commit.park

    def late(*args: Any, **options: Any) -> Row:
        end_all(c)
        return park(*args, **options)

    c = course(fans)
    monkeypatch.setattr(commit, "park", late)
    c.run()
    monkeypatch.undo()
    assert row_of(c.driver.client, c.task_id)["status"] == "pending"
    assert c.ends()[0][2:] == ["completed", "done"]


def test_each_of_several_fan_outs_has_its_own_children(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        first, second = await asyncio.gather(ctx.fan_out(echoes(1, 2)), ctx.fan_out(echoes(3)))
        (third,) = await ctx.fan_out(echoes(4))
        return [shown(first), shown(second), third.index]

    c = course(step)
    c.parks()
    one, two, three = ids_of(c)
    run_child(c.driver.client, three)
    c.parks()  # with what is left to wait for
    run_child(c.driver.client, one, broken)
    run_child(c.driver.client, two)
    row = c.parks()
    assert (row["children_left"], row["waiting_for"]["name"]) == (1, "1 children")
    end_all(c)
    done = ["echo", "completed", "done"]
    assert c.ends() == [[[0, "echo", "failed", None], [1, *done]], [[0, *done]], 0]


def test_a_fan_out_beside_a_wait_a_sleep_and_a_call(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        outcomes, signal, _, called = await asyncio.gather(
            ctx.fan_out(echoes(1)), ctx.wait("go", timeout=7200), ctx.sleep(3600), ctx.call(make, "call")
        )
        return [outcomes[0].result, signal.payload if signal else None, called]

    c = course(step)
    row = c.parks()
    assert row["waiting_for"]["name"] == "1 child or go"
    assert c.task.signal("go", 7).delivered
    c.parks()
    c.time_passes()
    row = c.parks()
    assert [wait["kind"] for wait in row["waiting_for"]["waits"]] == ["children"]
    end_all(c)
    assert c.ends() == ["done", 7, "call"]
    assert len(ids_of(c)) == 1
    assert made == ["call"]


def test_seconds_count_while_children_are_at_work(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        await asyncio.gather(ctx.fan_out(echoes(1)), ctx.wait("go"))

    c = course(step)
    for go_on in (lambda: c.task.signal("go"), lambda: end_all(c)):
        c.parks()
        query(
            c.driver.client,
            "UPDATE agent_tasks.tasks SET waiting_for = waiting_for || jsonb_build_object('parked_at', "
            "clock_timestamp() - interval '1 hour') WHERE id = %s",
            c.task_id,
        )
        before = row_of(c.driver.client, c.task_id)["spent_seconds"]
        go_on()
        assert 3600 <= row_of(c.driver.client, c.task_id)["spent_seconds"] - before < 3660
    c.ends()


def test_no_second_is_counted_again_when_the_step_is_parked_again(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        await asyncio.gather(ctx.fan_out(echoes(1)), ctx.wait("go"))

    c = course(step)
    c.parks()
    client = c.driver.client
    long_ago = "jsonb_build_object('since', clock_timestamp() - interval '1 hour')"
    query(client, f"UPDATE agent_tasks.calls SET wait = wait || {long_ago} WHERE task_id = %s", c.task_id)
    c.task.signal("go")
    counted = c.parks()["spent_seconds"]
    end_all(c)
    assert row_of(client, c.task_id)["spent_seconds"] - counted < 3600
    c.ends()


async def _broken_beside(ctx: Context) -> Any:
    async def break_off() -> None:
        if ctx.attempt == 1:
            raise ValueError("broken beside")

    return await asyncio.gather(ctx.fan_out(echoes(1, 2)), break_off())
