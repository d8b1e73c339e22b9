"""Agents whose functions are written in every form, and whose errors come in every form; for the worker of one test."""

import asyncio
import functools
import sys
from collections.abc import Callable
from typing import Any

from agent_tasks import Agent, Context, Next, Retry, SyncContext, agent


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@traced
async def double(n: int) -> int:
    return 2 * n


class Tool:
    async def __call__(self, n: int) -> int:
        return 3 * n


@agent("wrapped-step")
@traced
async def wrapped_step(ctx: Context, n: int = 4):
    return n


@agent("calls-from-plain")
def calls_from_plain(ctx: SyncContext):
    return [ctx.call(double, 2), ctx.call(Tool(), 1)]


@agent("calls-from-async")
async def calls_from_async(ctx: Context):
    return [await ctx.call(double, 2), await ctx.call(Tool(), 1)]


class Flow:
    def __init__(self, model: str) -> None:
        self.model = model
        made = Agent("methods")
        made.step(self.begin)
        made.step(self.end)

    async def begin(self, ctx: Context):
        return Next(self.end)

    async def end(self, ctx: Context):
        return self.model


flow = Flow("small")

decorated = Agent("decorated")


@decorated.step
async def start(ctx: Context):
    return Next(finish)


@traced
@decorated.step
async def finish(ctx: Context):
    return "end"


@agent("forgets-async")
def forgets_async(ctx: SyncContext):
    return double(2)


async def flaky(attempt: int):
    if attempt == 1:
        raise ConnectionError("flaky")


@agent("grouped", retry=Retry(attempts=3, base=0.01, on=(ConnectionError,)))
async def grouped(ctx: Context):
    async with asyncio.TaskGroup() as group:
        group.create_task(flaky(ctx.attempt))
    return ctx.attempt


class Broken(Exception):
    def __str__(self) -> str:
        raise TypeError("no text")


def break_down():
    raise Broken


@agent("broken-text", retry=Retry(attempts=2, base=0.01, on=(Broken,)))
async def broken_text(ctx: Context):
    if ctx.attempt == 1:
        await ctx.call(break_down)
    return ctx.attempt


@agent("async-exit", retry=Retry(attempts=2, base=0.01, on=(SystemExit,)))
async def async_exit(ctx: Context):
    if ctx.attempt == 1:
        sys.exit(1)
    return ctx.attempt


@agent("plain-exit", retry=Retry(attempts=2, base=0.01, on=(SystemExit,)))
def plain_exit(ctx: SyncContext):
    if ctx.attempt == 1:
        sys.exit(1)
    return ctx.attempt
