"""Agents for the tests: each shows one thing, and tells through files what it did."""

import asyncio
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from agent_tasks import Agent, Context, Done, Next, Retry, SyncContext, UpstreamUnavailable, agent

count = Agent("count")


@count.step
async def up(ctx: Context, to: int, n: int = 0):
    return Done(n) if n >= to else Next(up, to=to, n=n + 1)


count_plain = Agent("count_plain")


@count_plain.step
def up_plain(ctx: SyncContext, to: int, n: int = 0):
    return Done(n) if n >= to else Next(up_plain, to=to, n=n + 1)


def note(folder: str, text: str) -> None:
    """Append a line to `folder`/log: what really ran, how often, and where."""
    with (Path(folder) / "log").open("a") as file:
        file.write(f"{text}\n")


def notes(folder: Path | str) -> list[str]:
    path = Path(folder) / "log"
    return path.read_text().splitlines() if path.exists() else []


relay = Agent("relay")
"""first → held → last; `held` goes on once the file `go` is in the folder."""


@relay.step
async def first(ctx: Context, folder: str):
    note(folder, f"first {os.getpid()}")
    return Next(held, folder=folder)


@relay.step
async def held(ctx: Context, folder: str):
    note(folder, f"held {os.getpid()}")
    await ctx.call(pay, folder)
    while not (Path(folder) / "go").exists():
        await asyncio.sleep(0.01)
    return Next(last, folder=folder)


@relay.step
def last(ctx: SyncContext, folder: str):
    note(folder, f"last {os.getpid()}")
    return "done"


async def pay(folder: str) -> str:
    note(folder, "paid")
    return "receipt"


relay_plain = Agent("relay_plain")
"""As `relay`, with a plain step that waits for `go`."""


@relay_plain.step
def held_plain(ctx: SyncContext, folder: str):
    note(folder, f"held {os.getpid()}")
    while not (Path(folder) / "go").exists() and not ctx.cancelled:
        time.sleep(0.01)
    return "done"


killer = Agent("killer")


@killer.step
def kill_worker(ctx: SyncContext, folder: str):
    note(folder, f"killing {os.getpid()}")
    os.kill(os.getpid(), signal.SIGKILL)


stubborn = Agent("stubborn")


@stubborn.step
def never_stop(ctx: SyncContext, folder: str):
    note(folder, f"stubborn {os.getpid()}")
    threading.Event().wait()


@agent("flaky")
async def flaky(ctx: Context, fail: int):
    return await attempt(ctx, fail)


retried = Agent("retried")


@retried.step(retry=Retry(attempts=5, base=0.05))
async def attempt(ctx: Context, fail: int):
    if ctx.attempt <= fail:
        raise UpstreamUnavailable(f"attempt {ctx.attempt}")
    return ctx.attempt


@agent("echo")
async def echo(ctx: Context, value: Any = None):
    return value


@agent("sensitive", sensitive=True)
async def secretive(ctx: Context, folder: str, secret: str):
    note(folder, f"held {os.getpid()}")
    while not (Path(folder) / "go").exists():
        await asyncio.sleep(0.01)
    return secret
