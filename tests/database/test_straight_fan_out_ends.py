"""Fan-outs of steps written straight down: failures, cancels and ends."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from agent_tasks import Context, InvalidInput
from agent_tasks.engine.steps.fan_outs import StepFanOuts
from agent_tasks.errors import LeaseLost
from tests.database import Row, query, row_of
from tests.database.children import broken, run_child
from tests.database.courses import Course
from tests.database.fanning import children_of, echoes, end_all, fans, ids_of, shown, until_spawned


async def _all_or_nothing(ctx: Context) -> Any:
    await ctx.fan_out(echoes(1, 2), on_child_failure="fail")


def test_the_first_failure_ends_the_task_where_it_asks_for_that(course: Callable[..., Course]) -> None:
    c = course(_all_or_nothing)
    c.parks()
    first, _ = ids_of(c)
    run_child(c.driver.client, first, broken)
    row = row_of(c.driver.client, c.task_id)
    assert (row["status"], row["error"]["type"], row["error"]["details"]["child"]) == (
        "failed",
        "partial_completion",
        str(first),
    )
    assert [child["status"] for child in children_of(c)] == ["failed", "cancelled"]


def test_a_step_that_runs_is_stopped_by_the_failure_of_a_child(course: Callable[..., Course]) -> None:
    told: list[Row] = []

    async def step(ctx: Context) -> Any:
        fan_out = asyncio.create_task(ctx.fan_out(echoes(1), on_child_failure="fail"))
        for child in await until_spawned(c):
            told.extend(await asyncio.to_thread(run_child, c.driver.client, child, broken))
        await fan_out

    c = course(step)
    with pytest.raises(LeaseLost):
        c.run()
    assert row_of(c.driver.client, c.task_id)["status"] == "failed"
    assert [row["was"] for row in told if row["id"] == c.task_id] == ["running"]  # who runs it is told to stop


def test_children_are_cancelled_with_their_parent(course: Callable[..., Course]) -> None:
    c = course(fans)
    c.parks()
    c.task.cancel()
    assert [child["status"] for child in children_of(c)] == ["cancelled", "cancelled"]


def test_children_outlast_a_try_that_failed(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        fan_out = asyncio.create_task(ctx.fan_out(echoes(1, 2)))
        await until_spawned(c)
        if ctx.attempt == 1:
            raise ValueError("broken beside")
        return shown(await fan_out)

    c = course(step)
    assert isinstance(c.fails(), ValueError)
    assert row_of(c.driver.client, c.task_id)["waiting_for"]["kind"] == "retry"
    end_all(c)
    c.time_passes()
    assert c.ends()[1][2:] == ["completed", "done"]
    assert len(ids_of(c)) == 2


def test_a_task_that_fails_cancels_the_children_that_its_step_spawned(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        fan_out = asyncio.create_task(ctx.fan_out(echoes(1, 2)))
        await until_spawned(c)
        raise InvalidInput(f"no use {fan_out.done()}")

    c = course(step)
    assert isinstance(c.fails(), InvalidInput)
    assert row_of(c.driver.client, c.task_id)["status"] == "failed"
    assert [child["status"] for child in children_of(c)] == ["cancelled", "cancelled"]


def test_a_fan_out_that_the_step_cancels_cancels_its_children(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        fan_out = asyncio.create_task(ctx.fan_out(echoes(1, 2)))
        slept = asyncio.create_task(ctx.sleep(60))
        await asyncio.wait({fan_out, slept}, return_when=asyncio.FIRST_COMPLETED)
        fan_out.cancel()
        with suppress(asyncio.CancelledError):
            await fan_out
        return shown(await ctx.fan_out(echoes(1, 2)))

    c = course(step)
    c.parks()
    c.time_passes()
    row = c.parks()
    assert [child["status"] for child in children_of(c)] == ["cancelled", "cancelled", "pending", "pending"]
    assert row["children_left"] == 2
    end_all(c)
    assert [outcome[2] for outcome in c.ends()] == ["completed", "completed"]


async def _waits(ctx: Context) -> Any:
    return await ctx.wait("go")


@pytest.mark.parametrize("wait", [_waits, fans])
@pytest.mark.parametrize("goes_first", ["the look", "its end"])
def test_a_wait_that_is_cancelled_while_postgres_is_asked_stays_cancelled(
    course: Callable[..., Course], monkeypatch: pytest.MonkeyPatch, wait: Any, goes_first: str
) -> None:
    take, keep, cancel = StepFanOuts.take_waits, StepFanOuts.keep_waits, StepFanOuts.cancel_wait
    is_asked, is_cancelled, is_over = threading.Event(), threading.Event(), threading.Event()

    def taken(*args: Any) -> Any:
        found = take(*args) if goes_first == "the look" else None
        is_asked.set()
        assert is_cancelled.wait(30)
        if found is None:
            found = take(*args)
            is_over.set()
        return found

    def kept(*args: Any) -> None:
        keep(*args)
        is_over.set()

    def cancelled(*args: Any) -> None:
        cancel(*args)
        is_cancelled.set()

    async def step(ctx: Context) -> Any:
        waiting = asyncio.create_task(wait(ctx))
        await asyncio.to_thread(is_asked.wait, 30)
        if goes_first == "its end":
            c.task.signal("go")
            await asyncio.to_thread(end_all, c)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        await asyncio.to_thread(is_over.wait, 30)
        return None

    monkeypatch.setattr(StepFanOuts, "take_waits", taken)
    monkeypatch.setattr(StepFanOuts, "keep_waits", kept)
    monkeypatch.setattr(StepFanOuts, "cancel_wait", cancelled)
    c = course(step)
    c.ends()
    assert is_over.is_set()
    rows = query(c.driver.client, "SELECT status FROM agent_tasks.calls WHERE task_id = %s", c.task_id)
    assert [row["status"] for row in rows] == ["cancelled"]
    signals = query(c.driver.client, "SELECT consumed_step FROM agent_tasks.signals WHERE task_id = %s", c.task_id)
    assert not [row for row in signals if row["consumed_step"] is not None]


def test_children_that_nobody_awaits_are_cancelled_when_the_step_returns(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        fan_out = asyncio.create_task(ctx.fan_out(echoes(1)))
        await until_spawned(c)
        return fan_out.done()

    c = course(step)
    assert c.ends() is False
    assert [child["status"] for child in children_of(c)] == ["cancelled"]
