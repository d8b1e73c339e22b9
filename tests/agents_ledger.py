"""Agents whose calls are recorded, and agents whose outcomes cannot be."""

import asyncio
import os
from pathlib import Path
from typing import Any

from agent_tasks import Agent, Context, Done, InvalidInput, Next, Retry, SyncContext, UpstreamUnavailable, agent
from tests.agents import note


async def until_go(folder: str) -> str:
    while not (Path(folder) / "go").exists():
        await asyncio.sleep(0.01)
    return "went"


async def slow_call(folder: str) -> str:
    note(folder, "called")
    return await until_go(folder)


@agent("at_most_once")
async def at_most_once(ctx: Context, folder: str):
    return await ctx.call(slow_call, folder, at_most_once=True)


@agent("at_least_once")
async def at_least_once(ctx: Context, folder: str):
    return await ctx.call(slow_call, folder)


async def one(folder: str) -> str:
    note(folder, "one")
    return "one"


async def two(folder: str) -> str:
    note(folder, "two")
    return "two"


@agent("rerouted", retry=Retry(attempts=2, base=0))
async def rerouted(ctx: Context, folder: str):
    await ctx.call(one if ctx.attempt == 1 else two, folder)
    raise UpstreamUnavailable("again")


keyed = Agent("keyed")
"""Its call tells its key each time it is made: after a retry, a crash and a resume."""


@keyed.step
async def before(ctx: Context, folder: str):
    return Next(keyed_call, folder=folder)


@keyed.step(retry=Retry(attempts=2, base=0))
async def keyed_call(ctx: Context, folder: str):
    async def outside() -> str:
        note(folder, f"key {ctx.idempotency_key}")
        if (Path(folder) / "hold").exists():
            await until_go(folder)
        raise UpstreamUnavailable("never answers")

    return await ctx.call(outside)


@agent("gathered", retry=Retry(attempts=3, base=0))
async def gathered(ctx: Context, folder: str):
    """Five calls at once, the last ones the quickest; in the first two attempts one of them fails."""

    async def work(number: int) -> int:
        await asyncio.sleep(0.02 * (5 - number))
        if number == 2 and ctx.attempt < 3:
            raise UpstreamUnavailable("not yet")
        note(folder, f"work {number} {ctx.idempotency_key}")
        return number * 10

    outcomes = await asyncio.gather(*(ctx.call(work, n) for n in range(5)), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


resumable = Agent("resumable")
"""prepare → (a recorded call, then what `how` says) → done."""


@resumable.step
async def prepare(ctx: Context, folder: str, how: str):
    note(folder, "prepare")
    return Next(act, folder=folder, how=how)


@resumable.step
async def act(ctx: Context, folder: str, how: str):
    paid = await ctx.call(one, folder)
    if (Path(folder) / "go").exists():
        return Done([paid, ctx.step_number])
    if how == "fail":
        raise ValueError("broken on purpose")
    if how == "partial":
        await ctx.partial({"half": True})
    if how == "charge":
        await ctx.charge(tokens=1000)
    return await until_go(folder)


@agent("heavy")
async def heavy(ctx: Context, what: str, size: int):
    text = "x" * size
    if what == "result":
        return text
    if what == "outcome":
        return len(await ctx.call(lambda: text))
    if what == "partial":
        await ctx.partial(text)
    if what == "event":
        await ctx.emit("large", text)
    if what == "state":
        return Next("heavy", what=text, size=0)
    return "done"


@agent("odd_result")
async def odd_result(ctx: Context, kind: str):
    return {"object": object(), "nan": float("nan"), "nul": "\x00", "surrogate": "\ud800", "bytes": b"\xff"}[kind]


@agent("nowhere")
async def nowhere(ctx: Context):
    return Next("no_such_step")


@agent("wrong_state")
async def wrong_state(ctx: Context):
    return Next("wrong_state", surprise=1)


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("says nothing")


@agent("odd_error", retry=Retry(attempts=2, base=0))
async def odd_error(ctx: Context, kind: str):
    """Raises what is hard to record."""
    raise {
        "nan": InvalidInput("odd", value=float("nan")),
        "nul": InvalidInput("odd", value="\x00"),
        "object": InvalidInput("odd", value=object()),
        "surrogate": InvalidInput("odd \ud800", value="\ud800"),
        "large": InvalidInput("odd", value="x" * 3_000_000),
        "mute": Mute(),
        "exit": SystemExit(3),
        "cancelled": asyncio.CancelledError(),
        "retry_after_nan": UpstreamUnavailable("odd", retry_after=float("nan")),
        "retry_after_inf": UpstreamUnavailable("odd", retry_after=float("inf")),
        "retry_after_huge": UpstreamUnavailable("odd", retry_after=1e30),
        "retry_after_past": UpstreamUnavailable("odd", retry_after=-5),
    }[kind]


async def pid_of_loop() -> int:
    await asyncio.sleep(0)
    return os.getpid()


def pid_of_thread() -> int:
    return os.getpid()


@agent("plain_calls_async")
def plain_calls_async(ctx: SyncContext):
    return [ctx.call(pid_of_loop), ctx.call(pid_of_thread), os.getpid()]


@agent("async_calls_plain")
async def async_calls_plain(ctx: Context):
    return [await ctx.call(pid_of_thread), await ctx.call(pid_of_loop), os.getpid()]


told = Agent("told")


@told.step(retry=Retry(attempts=3, base=0))
async def wait_as_told(ctx: Context, seconds: float):
    if ctx.attempt == 1:
        raise UpstreamUnavailable("busy", retry_after=seconds)
    return ctx.attempt


@agent("talkative")
async def talkative(ctx: Context, says: int) -> Any:
    for number in range(says):
        await ctx.emit("said", {"number": number})
        await ctx.progress(number + 1, says)
    return says
