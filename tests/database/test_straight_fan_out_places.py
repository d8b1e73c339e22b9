"""Fan-outs of steps written straight down: where they cannot be made."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agent_tasks import Context, InvalidInput, SyncContext, TaskCancelled
from tests.database.courses import Course
from tests.database.driving import in_threads
from tests.database.fanning import echoes, ids_of


async def _in_a_call(ctx: Context) -> Any:
    return await ctx.call(ctx.fan_out, echoes(1))


async def _in_a_thread(ctx: Context) -> Any:
    return await asyncio.to_thread(asyncio.run, ctx.fan_out(echoes(1)))


def _in_a_plain_call(ctx: SyncContext) -> Any:
    return ctx.call(ctx.fan_out, echoes(1))


def _in_a_plain_thread(ctx: SyncContext) -> Any:
    return in_threads(lambda: ctx.fan_out(echoes(1)))


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (_in_a_call, "inside of a recorded call"),
        (_in_a_plain_call, "inside of a recorded call"),
        (_in_a_thread, "in a thread or a callback"),
        (_in_a_plain_thread, "in a thread or a callback"),
    ],
)
def test_a_fan_out_where_nothing_can_be_parked_is_refused(course: Callable[..., Course], step: Any, said: str) -> None:
    c = course(step)
    error = c.fails()
    assert isinstance(error, InvalidInput)
    assert said in str(error)
    assert not ids_of(c)


@pytest.mark.parametrize("kind", [InvalidInput, TaskCancelled])
def test_a_fan_out_in_the_finally_of_a_step_that_is_over_is_refused(
    course: Callable[..., Course], kind: type[Exception]
) -> None:
    errors: list[BaseException] = []

    async def step(ctx: Context) -> str:
        async def late() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                try:
                    await ctx.fan_out(echoes(1))
                except Exception as error:
                    errors.append(error)

        task = asyncio.create_task(late())
        await asyncio.sleep(0)
        if kind is TaskCancelled:
            ctx.stop()
            task.cancel()
            await asyncio.wait([task])
        return f"{task.done()}"

    c = course(step)
    c.driver.run(c.task_id, step)
    assert isinstance(errors[0], kind)
    assert not ids_of(c)


def test_what_is_no_list_of_children_is_refused(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        return await ctx.fan_out("echo")  # type: ignore[arg-type]

    with pytest.raises(InvalidInput, match="list of Child"):
        raise course(step).fails()
