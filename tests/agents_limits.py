"""Agents that go on for long, spend too much, or do not stop."""

import asyncio
import os
import threading
import time
from pathlib import Path

from agent_tasks import Agent, Context, Next, Retry, SyncContext, agent
from tests.agents import note


def gone(folder: str) -> bool:
    return (Path(folder) / "go").exists()


@agent("patient")
async def patient(ctx: Context, folder: str):
    """Waits for `go`, and tells when it is cancelled."""
    note(folder, f"waits {os.getpid()}")
    try:
        while not gone(folder):
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        note(folder, "cancelled")
        raise
    return "done"


@agent("calls_at_once")
async def calls_at_once(ctx: Context, folder: str, calls: int):
    """Waits for `go`, and then makes so many calls at the same moment."""
    note(folder, f"waits {os.getpid()}")
    while not gone(folder):
        await asyncio.sleep(0.02)
    return sum(await asyncio.gather(*(ctx.call(abs, -1) for _ in range(calls))))


@agent("attentive")
def attentive(ctx: SyncContext, folder: str):
    note(folder, f"waits {os.getpid()}")
    while not gone(folder):
        if ctx.cancelled:
            note(folder, "cancelled")
            ctx.check_cancelled()
        time.sleep(0.02)
    return "done"


@agent("inattentive")
def inattentive(ctx: SyncContext, folder: str):
    """Never looks whether it should stop, but ends once `go` is there."""
    note(folder, f"waits {os.getpid()}")
    while not gone(folder):
        time.sleep(0.02)
    note(folder, "returns")
    return "done"


@agent("unstoppable")
async def unstoppable(ctx: Context, folder: str):
    """An async step that swallows its cancellation."""
    note(folder, f"waits {os.getpid()}")
    while True:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            note(folder, "cancelled")


def block(folder: str) -> None:
    note(folder, f"blocks {os.getpid()}")
    threading.Event().wait()


@agent("blocking_call")
async def blocking_call(ctx: Context, folder: str):
    """An async step that waits for a plain call which never ends."""
    await ctx.call(block, folder)


@agent("blocks_the_loop")
async def blocks_the_loop(ctx: Context, folder: str):
    """What an async step must not do."""
    block(folder)


@agent("keeps_partial")
async def keeps_partial(ctx: Context, folder: str):
    await ctx.partial({"pages": 3})
    note(folder, f"waits {os.getpid()}")
    while not gone(folder):
        await asyncio.sleep(0.02)
    return "done"


@agent("brief")
async def brief(ctx: Context, folder: str, seconds: float):
    note(folder, f"begins {os.getpid()}")
    await asyncio.sleep(seconds)
    note(folder, f"ends {os.getpid()}")
    return "done"


@agent("brief_plain")
def brief_plain(ctx: SyncContext, folder: str, seconds: float):
    note(folder, f"begins {os.getpid()}")
    time.sleep(seconds)
    note(folder, f"ends {os.getpid()}")
    return "done"


spender = Agent("spender")


@spender.step
async def buy(ctx: Context, tokens: int = 0, usd: float = 0.0, calls: int = 0, keep: bool = False):
    if keep:
        await ctx.partial(f"bought {ctx.step_number} times")
    for _ in range(calls):
        await ctx.call(lambda: None)
    await ctx.charge(tokens=tokens, usd=usd)
    return Next(buy, tokens=tokens, usd=usd, calls=calls, keep=keep)


@agent("spends_in_a_group")
async def spends_in_a_group(ctx: Context, tokens: int):
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(ctx.charge(tokens=tokens))


@agent("group_of_calls")
async def group_of_calls(ctx: Context, folder: str):
    """Calls in a group, of which some are under way whatever happens outside."""

    async def work(number: int) -> int:
        return number

    note(folder, f"begins {os.getpid()}")
    while not gone(folder):
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(ctx.call(work, number))
    return "done"


@agent("chatty")
async def chatty(ctx: Context, folder: str):
    """Writes its task's row all the time."""
    note(folder, f"begins {os.getpid()}")
    while not gone(folder):
        await asyncio.gather(*(ctx.charge(tokens=1) for _ in range(4)))
    return "done"


hops = Agent("hops")
"""`to` steps that take a moment each, async and plain by turns, so that each is handed over."""


@hops.step
async def hop(ctx: Context, to: int, n: int = 0):
    await asyncio.sleep(0.01)
    return n if n >= to else Next(skip, to=to, n=n + 1)


@hops.step
def skip(ctx: SyncContext, to: int, n: int = 0):
    time.sleep(0.01)
    return n if n >= to else Next(hop, to=to, n=n + 1)


@agent("dies_with_its_slot", retry=Retry(attempts=1))
def dies_with_its_slot(ctx: SyncContext, folder: str):
    """Never stops; one that can be counted."""
    note(folder, f"blocks {os.getpid()}")
    threading.Event().wait()


flaky_hops = Agent("flaky_hops")
"""As `hops`, and the first attempt of each step fails."""


@flaky_hops.step(retry=Retry(attempts=3, base=0.05))
async def flaky_hop(ctx: Context, to: int, n: int = 0):
    if ctx.attempt == 1:
        raise RuntimeError("the first attempt fails")
    return n if n >= to else Next(flaky_hop, to=to, n=n + 1)
