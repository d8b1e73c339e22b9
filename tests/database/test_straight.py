"""Straight-line steps: a step waits within itself, is parked as a row, and goes on with what it has recorded."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent_tasks import Context, Signal, SyncContext
from tests.database import row_of
from tests.database.approving_straight import both
from tests.database.courses import Course, made, make


@both
def test_a_step_waits_as_a_row_and_goes_on_with_its_calls(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    row = c.parks()
    assert (row["status"], row["worker"], row["step"], row["step_number"]) == ("waiting", None, "echo", 0)
    waiting = c.task.snapshot().waiting_for
    assert waiting is not None
    assert (waiting.kind, waiting.names, waiting.mode) == ("signal", ["approval"], "any")
    assert waiting.until is not None
    assert waiting.until - waiting.since == timedelta(seconds=60)
    assert c.task.signal("approval", {"ok": True}).delivered
    assert row_of(c.driver.client, c.task_id)["status"] == "pending"
    assert c.ends() == {"ok": True}
    assert made == ["draft", "publish"]


@both
def test_a_wait_is_neither_a_try_nor_a_crash(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    c.parks()
    c.task.signal("approval", 1)
    run = c.run()
    assert (run.claim.attempt, run.claim.failures, run.context.attempt) == (1, 0, 1)
    assert c.task.snapshot().budget.spent.calls == 2


@both
def test_a_signal_that_came_early_is_taken_at_once(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    assert not c.task.signal("approval", 1).delivered
    assert c.ends() == 1


@both
def test_a_wait_times_out(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    c.parks()
    c.time_passes()
    assert c.ends() is None
    assert made == ["draft", "publish"]


@both
def test_a_signal_of_another_name_leaves_the_step_parked(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    c.parks()
    assert c.task.signal("other", 1).waiting_for == ["approval"]
    assert row_of(c.driver.client, c.task_id)["status"] == "waiting"


def test_a_sleep_ends_by_the_clock_of_the_database(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> str:
        await ctx.sleep(0)
        await ctx.sleep(datetime(2001, 1, 1, tzinfo=UTC))
        await ctx.sleep(timedelta(hours=1))
        return await ctx.call(make, "slept")

    c = course(step)
    row = c.parks()
    assert row["waiting_for"]["kind"] == "timer"
    c.time_passes()
    assert c.ends() == "slept"


def test_the_time_of_a_wait_counts_from_when_the_step_first_came_to_it(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> list[Any]:
        return [*await asyncio.gather(ctx.wait("a", timeout=3600), ctx.sleep(7200))]

    c = course(step)
    first = c.parks()["waiting_for"]["waits"]
    c.task.signal("a", 1)
    second = c.parks()["waiting_for"]["waits"]
    assert second == [first[1]]


def test_all_of_several_signals(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        signals = await ctx.wait(["a", "b"], all=True)
        return None if signals is None else {name: signal.payload for name, signal in signals.items()}

    c = course(step)
    c.parks()
    assert not c.task.signal("b", 2).delivered
    assert c.task.signal("a", 1).delivered
    assert c.ends() == {"a": 1, "b": 2}


def test_any_of_several_signals_and_what_a_signal_holds(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        signal = await ctx.wait(["a", "b"])
        assert isinstance(signal, Signal)
        return [signal.name, signal.signal_id, signal.sent_at.tzinfo is not None]

    c = course(step)
    c.parks()
    c.task.signal("b", 2, signal_id="7")
    assert c.ends() == ["b", "7", True]


def test_each_wait_takes_a_signal_of_its_own(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        signals = [await ctx.wait("go"), *await asyncio.gather(ctx.wait("go"), ctx.wait("go"))]
        return [signal.payload for signal in signals if signal]

    c = course(step)
    for n in range(3):
        c.parks()
        c.task.signal("go", n)
    assert c.ends() == [0, 1, 2]


def test_what_can_run_runs_while_another_task_waits(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        async def slowly() -> str:
            while not made:
                await asyncio.sleep(0.001)
            return await ctx.call(make, "second")

        return await asyncio.gather(ctx.wait("a"), ctx.call(make, "first"), slowly())

    c = course(step)
    c.parks()
    assert made == ["first", "second"]
    c.task.signal("a", 1)
    assert c.ends()[1:] == ["first", "second"]
    assert made == ["first", "second"]


async def _nested(ctx: Context) -> Any:
    inner = asyncio.gather(ctx.wait("a"), ctx.wait("b"))
    return await asyncio.gather(inner, ctx.wait("c"), return_exceptions=True)


async def _grouped(ctx: Context) -> Any:
    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(ctx.wait(name))


async def _grouped_beside(ctx: Context) -> Any:
    async with asyncio.TaskGroup() as group:
        group.create_task(ctx.wait("a"))
        group.create_task(ctx.wait("b"))
        await ctx.wait("c")


async def _awaited(ctx: Context) -> Any:
    tasks = [asyncio.create_task(ctx.wait(name)) for name in "abc"]
    await asyncio.wait(tasks)
    await asyncio.wait(tasks)


async def _directly(ctx: Context) -> Any:
    for task in [asyncio.create_task(ctx.wait(name)) for name in "abc"]:
        await task


@pytest.mark.parametrize("step", [_nested, _grouped, _grouped_beside, _awaited, _directly])
def test_a_step_parks_however_its_tasks_are_awaited(
    course: Callable[..., Course], step: Any, caplog: pytest.LogCaptureFixture
) -> None:
    c = course(step)
    assert sorted(c.parks()["waiting_for"]["names"]) == ["a", "b", "c"]
    for name in "cab":
        c.task.signal(name, name)
        if name != "b":
            c.parks()
    c.ends()
    assert not caplog.records


async def _timed(ctx: Context) -> str:
    try:
        async with asyncio.timeout(0.2):
            await ctx.wait("never")
    except TimeoutError:
        return await ctx.call(make, "late")
    return "came"


async def _polled(ctx: Context) -> str:
    waiting = asyncio.create_task(ctx.wait("never"))
    await asyncio.sleep(0.2)
    waiting.cancel()
    return await ctx.call(make, "late")


async def _waited_for(ctx: Context) -> str:
    with suppress(TimeoutError):
        await asyncio.wait_for(ctx.wait("never"), 0.2)
    return await ctx.call(make, "late")


async def _locked(ctx: Context) -> str:
    lock = asyncio.Lock()

    async def hold() -> None:
        async with lock:
            await asyncio.sleep(0.2)

    holding = asyncio.create_task(hold())
    waiting = asyncio.create_task(ctx.wait("never"))
    await asyncio.sleep(0)
    async with lock:
        waiting.cancel()
    await holding
    return await ctx.call(make, "late")


@pytest.mark.parametrize("step", [_timed, _polled, _waited_for, _locked])
def test_a_step_that_does_something_else_is_not_parked(course: Callable[..., Course], step: Any) -> None:
    assert course(step).ends() == "late"


def test_a_wait_that_lost_a_race_gives_nothing_away(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        asked = asyncio.create_task(ctx.wait("answer"))
        slept = asyncio.create_task(ctx.sleep(60))
        done, left = await asyncio.wait({asked, slept}, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        first = "asked" if asked in done else "slept"
        return [first, (await ctx.wait("answer")).payload]  # type: ignore[union-attr]

    c = course(step)
    c.parks()
    c.time_passes()
    c.parks()
    c.task.signal("answer", 42)
    assert c.ends() == ["slept", 42]


def test_a_signal_reaches_a_busy_step_while_it_runs(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        waiting = asyncio.create_task(ctx.wait("stop"))
        await asyncio.sleep(0.02)
        await asyncio.to_thread(c.task.signal, "stop", "now")
        while not waiting.done():
            await asyncio.sleep(0.01)
        return waiting.result().payload  # type: ignore[union-attr]

    c = course(step)
    assert c.ends() == "now"


# --- what varies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plain", [False, True])
def test_the_time_random_numbers_and_ids_are_the_same_when_the_step_goes_on(
    course: Callable[..., Course], plain: bool
) -> None:
    seen: list[list[Any]] = []

    async def step(ctx: Context) -> None:
        seen.append([await ctx.now(), await ctx.now(), await ctx.random(), await ctx.uuid(), await ctx.uuid()])
        await ctx.wait("go")

    def step_plainly(ctx: SyncContext) -> None:
        seen.append([ctx.now(), ctx.now(), ctx.random(), ctx.uuid(), ctx.uuid()])
        ctx.wait("go")

    c = course(step_plainly if plain else step)
    c.parks()
    c.task.signal("go")
    c.ends()
    assert seen[0] == seen[1]
    first, second, number, one, other = seen[0]
    assert first.tzinfo is not None
    assert first < second
    assert 0 <= number < 1
    assert one != other
    assert c.task.snapshot().budget.spent.calls == 0
