"""A family of agents, and others whose workers are killed between the writes of a tree."""

import asyncio
import os
from pathlib import Path
from typing import Any

from agent_tasks import Agent, Child, ChildOutcome, Context, FanOut, Next, Sleep, SyncContext, Wait, agent
from tests.agents import note

CROWD = "crowd"
"""A queue of its own, so that a test has the bells of all children before anybody hears them."""

family = Agent("family")
"""spawn → gather, with `members` children in between; each spends a token and a call."""


@family.step
async def spawn(ctx: Context, folder: str, members: int, member: str = "member", queue: str | None = None):
    await ctx.charge(tokens=1)
    children = [Child(member, {"folder": folder, "index": index}, queue=queue) for index in range(members)]
    return FanOut(children, then=gather, folder=folder)


@family.step
async def gather(ctx: Context, folder: str, children: list[ChildOutcome]):
    note(folder, f"gather {os.getpid()}")
    await ctx.charge(tokens=1)
    return [child.result if child.status == "completed" else str(child.status) for child in children]


@agent("member")
async def member(ctx: Context, folder: str, index: int):
    await ctx.charge(tokens=1)
    return await ctx.call(numbered, index)


async def numbered(index: int) -> int:
    return index


@agent("straight_family", signals=["go"])
async def straight_family(ctx: Context, folder: str, members: int):
    """A call, children, a signal and another call, in one step."""
    await ctx.call(noted, folder, "first")
    children = await ctx.fan_out([Child("member", {"folder": folder, "index": index}) for index in range(members)])
    signal = await ctx.wait("go")
    await ctx.call(noted, folder, "last")
    return [*(child.result for child in children), signal.payload if signal else None]


async def noted(folder: str, what: str) -> None:
    note(folder, f"{what} {os.getpid()}")


@agent("member_plain")
def member_plain(ctx: SyncContext, folder: str, index: int):
    """In the slots: as many join at once as there are slots."""
    return index


@agent("held_member")
async def held_member(ctx: Context, folder: str, index: int):
    """Ends once `go` is there, or when it is stopped; records what it has before."""
    note(folder, f"begins {index} {os.getpid()}")
    await ctx.partial(f"half of {index}")
    try:
        while not (Path(folder) / "go").exists():
            await asyncio.sleep(0.01)
    finally:
        note(folder, f"ends {index} {os.getpid()}")
    return index


generations = Agent("generations")
"""A tree that goes on growing: each spawns two like itself until it is `depth` deep, then waits for ever."""


@generations.step
async def multiply(ctx: Context, depth: int):
    if depth == 0:
        return Wait("never", then=remember)
    return FanOut([Child("generations", {"depth": depth - 1})] * 2, then=remember)


@generations.step
async def remember(ctx: Context):
    return "grown"


traced = Agent("traced")
"""A tree that is `depth` deep and of twos; the result is the traceparent of every task in it."""


@traced.step
async def branch(ctx: Context, depth: int):
    return FanOut([Child("traced", {"depth": depth - 1})] * (2 if depth else 0), then=collect)


@traced.step
async def collect(ctx: Context, children: list[ChildOutcome]):
    return [ctx.traceparent, *(found for child in children for found in child.result)]


hops_and_waits = Agent("hops_and_waits")
"""A task that waits for `answer` after each of `waits` steps, and returns all answers."""


@hops_and_waits.step
async def await_answer(ctx: Context, waits: int, answers: list[Any] | None = None):
    return Wait("answer", then=take_answer, waits=waits, answers=answers or [])


@hops_and_waits.step
async def take_answer(ctx: Context, waits: int, answers: list[Any], signal: Any):
    answers = [*answers, signal.payload]
    return answers if len(answers) >= waits else Next(await_answer, waits=waits, answers=answers)


napper = Agent("napper")
"""Sleeps, and notes when it wakes."""


@napper.step
async def nap(ctx: Context, folder: str, seconds: float):
    return Sleep(seconds, then=rise, folder=folder)


@napper.step
async def rise(ctx: Context, folder: str):
    note(folder, f"rises {os.getpid()}")
    return "risen"


journey = Agent("journey")
"""book_one → book_two → book_three → travel, which fails; every booking has an undo, and the second one's holds."""


def unbook(ctx: SyncContext, folder: str, number: int):
    note(folder, f"unbooks {number} {os.getpid()}")


async def unbook_slowly(ctx: Context, folder: str, number: int):
    note(folder, f"unbooks {number} {os.getpid()}")
    await ctx.call(refund, folder)
    while not (Path(folder) / "go").exists():
        await asyncio.sleep(0.01)


async def refund(folder: str) -> str:
    note(folder, "refunded")
    return "a refund"


@journey.step(undo=unbook)
async def book_one(ctx: Context, folder: str):
    return Next(book_two, folder=folder, number=1)


@journey.step(undo=unbook_slowly)
async def book_two(ctx: Context, folder: str, number: int):
    return Next(book_three, folder=folder, number=2)


@journey.step(undo=unbook)
async def book_three(ctx: Context, folder: str, number: int):
    return Next(travel, folder=folder, number=3)


@journey.step
async def travel(ctx: Context, folder: str, number: int):
    raise RuntimeError("the road is closed")
