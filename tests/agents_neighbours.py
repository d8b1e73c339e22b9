"""Agents whose steps misbehave: what they do is to harm nobody but themselves."""

import asyncio
import contextvars
import ctypes
import decimal
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, field_validator

from agent_tasks import Agent, Context, Next, Retry, SyncContext, agent, get, submit
from tests.agents import note, notes


class Unspeakable(Exception):
    """Nothing can be done with it."""

    def __str__(self) -> str:
        raise RuntimeError("says nothing")

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compares to nothing")

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise RuntimeError("is neither")


class Unbearable(BaseException):
    """Neither an Exception nor one that Python knows."""


RAISED: dict[str, Callable[[], BaseException]] = {
    "exit": lambda: SystemExit(2),
    "interrupt": KeyboardInterrupt,
    "generator_exit": GeneratorExit,
    "stop": StopIteration,
    "stop_async": StopAsyncIteration,
    "cancelled": asyncio.CancelledError,
    "base": lambda: Unbearable("unbearable"),
    "unspeakable": Unspeakable,
    "group": lambda: BaseExceptionGroup("all at once", [SystemExit(1), Unspeakable(), ValueError("one")]),
}


def raise_one(kind: str) -> None:
    raise RAISED[kind]()


async def raise_one_later(kind: str) -> None:
    await asyncio.sleep(0.01)
    raise RAISED[kind]()


async def rest() -> str:
    await asyncio.sleep(0.05)
    return "rested"


@agent("raises")
async def raises(ctx: Context, kind: str, where: str):
    """Raises in one of the places where a user's code runs."""
    if where == "step":
        raise_one(kind)
    if where == "call":
        await ctx.call(raise_one_later, kind)
    if where == "plain_call":
        await ctx.call(raise_one, kind)
    if where == "gathered_calls":
        await asyncio.gather(ctx.call(raise_one_later, kind), ctx.call(rest))
    if where == "gathered_plain_calls":
        await asyncio.gather(ctx.call(raise_one, kind), ctx.call(rest))
    if where == "task_group":
        async with asyncio.TaskGroup() as group:
            group.create_task(raise_one_later(kind))
            group.create_task(rest())
    if where == "thread":
        await asyncio.to_thread(raise_one, kind)
    raise RuntimeError(f"{kind} was not raised")


@agent("raises_plain")
def raises_plain(ctx: SyncContext, kind: str, where: str):
    if where == "step":
        raise_one(kind)
    if where == "call":
        ctx.call(raise_one_later, kind)
    if where == "plain_call":
        ctx.call(raise_one, kind)
    raise RuntimeError(f"{kind} was not raised")


@agent("leaves_behind")
async def leaves_behind(ctx: Context, kind: str):
    """Ends well, and leaves something on the loop that does not."""
    loop = asyncio.get_running_loop()
    if kind == "stop_the_loop":
        loop.call_later(0.01, loop.stop)
    elif kind == "threads":
        for _ in range(50):
            threading.Thread(target=raise_one, args=("exit",), daemon=True).start()
    else:
        loop.call_soon(raise_one, kind)
        loop.left = [loop.create_task(raise_one_later(kind)) for _ in range(3)]  # type: ignore[attr-defined]
    return kind


tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


def _surroundings() -> list[Any]:
    found = [tenant.get(), decimal.getcontext().prec]
    tenant.set("acme")
    decimal.getcontext().prec = 3
    return found


changes = Agent("changes")
"""Tells in which context it began, and leaves another one."""


@changes.step
def change_plain(ctx: SyncContext, steps: int, found: list[Any] | None = None):
    found = [*(found or []), _surroundings(), ctx.call(_surroundings)]
    return Next(change_plain, steps=steps - 1, found=found) if steps else found


@agent("changes_async")
async def changes_async(ctx: Context, steps: int, found: list[Any] | None = None):
    found = [*(found or []), _surroundings(), await ctx.call(_surroundings)]
    return Next("changes_async", steps=steps - 1, found=found) if steps else found


def block(folder: str) -> str:
    note(folder, f"blocks {os.getpid()}")
    while not (Path(folder) / "go").exists():
        time.sleep(0.02)
    return "unblocked"


@agent("blocking_plain_call")
async def blocking_plain_call(ctx: Context, folder: str):
    return await ctx.call(block, folder)


@agent("quick_plain_call")
async def quick_plain_call(ctx: Context):
    return await ctx.call(os.getpid)


async def block_here(folder: str) -> None:
    block(folder)


@agent("blocks_until_go")
async def blocks_until_go(ctx: Context, folder: str, where: str = "step"):
    """Blocks the event loop, in the step or elsewhere."""
    if where == "step":
        block(folder)
    elif where == "gathered":
        await asyncio.gather(ctx.call(block_here, folder), ctx.call(rest))
    elif where == "callback":
        asyncio.get_running_loop().call_soon(block, folder)
        await asyncio.sleep(60)
    else:
        asyncio.get_running_loop().call_later(0.05, block, folder)
    return "done"


@agent("blocks_from_a_plain_step")
def blocks_from_a_plain_step(ctx: SyncContext, folder: str):
    return ctx.call(block_here, folder)


@agent("rests_from_a_plain_step")
def rests_from_a_plain_step(ctx: SyncContext, folder: str):
    async def until_go() -> str:
        note(folder, f"rests {ctx.attempt}")
        while not (Path(folder) / "go").exists():
            await asyncio.sleep(0.02)
        return "rested"

    return ctx.call(until_go)


@agent("waits_for_a_task")
async def waits_for_a_task(ctx: Context, how: str):
    """Does what would block the loop."""
    task = submit("echo", {"value": 1})
    if how == "wait":
        task.wait(timeout=5)
    if how == "result":
        task.result(timeout=5)
    if how == "follow":
        list(get(task.id).events(follow=True, timeout=5))
    if how == "thread":
        return await asyncio.to_thread(task.result, timeout=20)
    if how == "call":
        return await ctx.call(task.result, timeout=20)


@agent("misuses_its_context")
def misuses_its_context(ctx: SyncContext, operation: str):
    async def misuse() -> None:
        if operation == "call":
            ctx.call(rest)
        if operation == "charge":
            ctx.charge(tokens=1)

    ctx.call(misuse)


@agent("computes")
async def computes(ctx: Context, folder: str, seconds: float, times: int):
    """Begins when all are there, and computes on the loop, with pauses."""
    note(folder, "ready")
    while not (Path(folder) / "go").exists():
        await asyncio.sleep(0.02)
    for _ in range(times):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
        await asyncio.sleep(0)
    return "done"


class Odd(BaseModel):
    pid: int
    kind: str

    @field_validator("kind")
    @classmethod
    def check(cls, kind: str, info: Any) -> str:
        """Accepts anything in the process that submits, and raises in all others."""
        if kind != "no" and os.getpid() != info.data["pid"]:
            raise {"key": KeyError("config is not there"), "exit": SystemExit(1)}.get(kind) or Unspeakable()
        return kind


odd_input = Agent("odd_input")


@odd_input.step(retry=Retry(attempts=1))
def take_odd(ctx: SyncContext, item: Odd, then: str = "no"):
    return Next(take_odd, item={"pid": item.pid, "kind": then}) if then != "no" else item.kind


@odd_input.step
async def take_odd_later(ctx: Context, item: Odd):
    return item.kind


held_connections = threading.local()


def connection() -> "Connection":
    """That of this thread, made at first use: as an ORM has them."""
    if not hasattr(held_connections, "held"):
        held_connections.held = Connection()
    return held_connections.held


class Connection:
    """Stands for a connection that the server drops, all of them at once, as often as `drops` has a line."""

    def __init__(self) -> None:
        self.made_at: int | None = None

    def query(self, folder: str) -> str:
        if self.made_at is None:
            self.made_at = _drops(folder)
        if _drops(folder) != self.made_at:
            raise ConnectionError("the server has closed this connection")
        return threading.current_thread().name

    def close_if_unusable(self) -> None:
        self.made_at = None


def _drops(folder: str) -> int:
    path = Path(folder) / "drops"
    return len(path.read_text()) if path.exists() else 0


@contextmanager
def fresh_connections() -> Generator[None]:
    connection().close_if_unusable()
    yield
    connection().close_if_unusable()


def ask_database(folder: str) -> str:
    return connection().query(folder)


@agent("asks_database")
async def asks_database(ctx: Context, folder: str):
    return [await ctx.call(ask_database, folder), await asyncio.to_thread(ask_database, folder)]


@agent("asks_database_plainly")
def asks_database_plainly(ctx: SyncContext, folder: str):
    return [ask_database(folder), ctx.call(ask_database, folder)]


@agent("surrounded")
async def surrounded(ctx: Context):
    return [tenant.get(), await ctx.call(_tenant)]


async def _tenant() -> str:
    return tenant.get()


undone_slowly = Agent("undone_slowly")
"""Two steps whose undo functions hang until `go` is there, and a third that fails, or takes too long."""


async def hang(ctx: Context, folder: str):
    note(folder, f"undoes, cancelled={ctx.cancelled}")
    while not (Path(folder) / "go").exists():
        await asyncio.sleep(0.02)


def hang_plainly(ctx: SyncContext, folder: str):
    note(folder, f"undoes plainly, cancelled={ctx.cancelled}")
    while not (Path(folder) / "go").exists():
        ctx.check_cancelled()
        time.sleep(0.02)


@undone_slowly.step(undo=hang)
async def done_first(ctx: Context, folder: str, fail: bool = True):
    return Next(done_plainly, folder=folder, fail=fail)


@undone_slowly.step(undo=hang_plainly)
def done_plainly(ctx: SyncContext, folder: str, fail: bool):
    return Next(fail_or_wait, folder=folder, fail=fail)


@undone_slowly.step
async def fail_or_wait(ctx: Context, folder: str, fail: bool):
    if fail:
        raise RuntimeError("it fails")
    await asyncio.sleep(60)


@agent("assassin")
def assassin(ctx: SyncContext, folder: str, how: str = "kill", within: str = ""):
    """Ends its process, each time that it runs, once `within` innocents have begun."""
    note(folder, f"assassin {os.getpid()}")
    while within and len([line for line in notes(folder) if line.startswith("innocent")]) < int(within):
        time.sleep(0.02)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "exit":
        os._exit(0)
    elif how == "group":
        os.killpg(os.getpgrp(), signal.SIGKILL)
    else:
        ctypes.string_at(0)


@agent("innocent")
async def innocent(ctx: Context, folder: str, seconds: float = 0.0):
    """Runs on in its first try, until its process dies; the next takes `seconds`."""
    note(folder, f"innocent {os.getpid()} {ctx.attempt}")
    await ctx.call(note, folder, "paid")
    if (Path(folder) / "go").exists():
        await asyncio.sleep(seconds)
    while not (Path(folder) / "go").exists():
        await asyncio.sleep(0.02)
    return os.getpid()


@agent("innocent_plain")
def innocent_plain(ctx: SyncContext, folder: str):
    note(folder, f"innocent {os.getpid()} {ctx.attempt}")
    while not (Path(folder) / "go").exists():
        time.sleep(0.02)
    return os.getpid()
