"""Steps written straight down: those that cannot wait, or do not let themselves be parked."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agent_tasks import Context, InvalidInput, SyncContext, TaskCancelled
from agent_tasks.authoring.calls.parked import StepParked
from tests.database import submitted
from tests.database.courses import Course, made, make
from tests.database.driving import Driver


async def _in_a_call(ctx: Context) -> Any:
    return await ctx.call(ctx.wait, "a")


async def _in_a_thread(ctx: Context) -> Any:
    return await asyncio.to_thread(asyncio.run, ctx.wait("a"))


def _in_a_plain_thread(ctx: SyncContext) -> Any:
    from tests.database.driving import in_threads

    return in_threads(lambda: ctx.wait("a"))


def _in_a_plain_call(ctx: SyncContext) -> Any:
    return ctx.call(ctx.wait, "a")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (_in_a_call, "inside of a recorded call"),
        (_in_a_plain_call, "inside of a recorded call"),
        (_in_a_thread, "in a thread or a callback"),
        (_in_a_plain_thread, "in a thread or a callback"),
    ],
)
def test_a_wait_where_nothing_can_be_parked_is_refused(course: Callable[..., Course], step: Any, said: str) -> None:
    error = course(step).fails()
    assert isinstance(error, InvalidInput)
    assert said in str(error)


async def _swallows(ctx: Context) -> str:
    try:
        await ctx.wait("a")
    except BaseException:
        make("swallowed")
    return "gone on"


async def _calls_on(ctx: Context) -> Any:
    try:
        await ctx.wait("a")
    finally:
        await ctx.call(make, "no")


async def _raises_from_it(ctx: Context) -> Any:
    try:
        await ctx.wait("a")
    except BaseException as error:
        raise RuntimeError("wrapped") from error


async def _raises_instead(ctx: Context) -> Any:
    try:
        await ctx.wait("a")
    except BaseException:
        raise RuntimeError("no cause") from None


async def _fails_to_clean_up(ctx: Context) -> Any:
    try:
        await ctx.wait("a")
    finally:
        int("no number")


def _swallows_plainly(ctx: SyncContext) -> str:
    try:
        ctx.wait("a")
    except:  # noqa: E722
        make("swallowed")
    return "gone on"


def _emits_plainly(ctx: SyncContext) -> None:
    try:
        ctx.wait("a")
    finally:
        ctx.emit("no")


@pytest.mark.parametrize(
    "step",
    [_swallows, _calls_on, _raises_from_it, _raises_instead, _fails_to_clean_up, _swallows_plainly, _emits_plainly],
)
def test_a_step_that_holds_up_its_parking_is_told_where(course: Callable[..., Course], step: Any) -> None:
    error = course(step).fails()
    line = step.__code__.co_firstlineno + 2
    assert isinstance(error, InvalidInput)
    assert "StepParked" in str(error)
    assert f"{__file__}:{line}" in str(error)
    assert set(made) <= {"swallowed"}


def test_cleaning_up_is_no_holding_up(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        try:
            return (await ctx.wait("a")).payload  # type: ignore[union-attr]
        except StepParked:
            make("noted")
            raise
        finally:
            await asyncio.sleep(0)
            make("closed")

    c = course(step)
    c.parks()
    assert made == ["noted", "closed"]
    c.task.signal("a", 1)
    assert c.ends() == 1


def test_a_wait_after_the_step_has_returned_is_refused(course: Callable[..., Course]) -> None:
    errors: list[BaseException] = []

    async def step(ctx: Context) -> str:
        async def late() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                try:
                    await ctx.wait("a")
                except Exception as error:
                    errors.append(error)

        task = asyncio.create_task(late())
        await asyncio.sleep(0)
        return f"{task.done()}"

    assert course(step).ends() == "False"
    assert isinstance(errors[0], InvalidInput)
    assert "has returned" in str(errors[0])


def test_a_stopped_step_cannot_wait(driver: Driver) -> None:
    errors: list[BaseException] = []

    async def step(ctx: Context) -> None:
        ctx.stop()
        try:
            await ctx.wait("a")
        except TaskCancelled as error:
            errors.append(error)

    driver.run(submitted(driver.client), step)
    assert "told to stop" in str(errors[0])
