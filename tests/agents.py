"""Agents for the tests: each shows one thing, and tells through files what it did."""

import asyncio
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from agent_tasks import (
    Agent,
    Budget,
    Child,
    ChildOutcome,
    Context,
    Done,
    FanOut,
    Next,
    Partial,
    Retry,
    Signal,
    Sleep,
    SyncContext,
    UpstreamUnavailable,
    Wait,
    agent,
)

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
async def echo(ctx: Context, value: Any = None, waits_for: list[str] | None = None):
    """It declares no signals, so that any may be sent to it."""
    return Wait(waits_for, then="echo", value=value) if waits_for else value


@agent("sensitive", sensitive=True)
async def secretive(ctx: Context, folder: str, secret: str):
    note(folder, f"held {os.getpid()}")
    while not (Path(folder) / "go").exists():
        await asyncio.sleep(0.01)
    return secret


class Approval(BaseModel):
    ok: bool


approval = Agent("approval", signals=["approval"])
"""ask → decide, with an approval in between."""


@approval.step
async def ask(ctx: Context, timeout: float | None = None, on_timeout: bool = False):
    return Wait("approval", then=decide, timeout=timeout, on_timeout=give_up if on_timeout else None, draft="a draft")


@approval.step
async def decide(ctx: Context, draft: str, signal: Signal[Approval] | None):
    if signal is None or signal.payload is None:
        return "nobody answered"
    return {"draft": draft, "ok": signal.payload.ok, "by": signal.sender.subject if signal.sender else None}


@approval.step
async def give_up(ctx: Context, draft: str):
    return "gave up"


sleeper = Agent("sleeper")


@sleeper.step
async def doze(ctx: Context, seconds: float):
    return Sleep(seconds, then=awake)


@sleeper.step
async def awake(ctx: Context):
    return "awake"


foreman = Agent("foreman")


@foreman.step
async def plan(
    ctx: Context,
    family: list[dict[str, Any]],
    reserve: float | None = None,
    on_child_failure: str = "collect",
    split: str = "equal",
):
    children = [
        Child(c["agent"], c.get("input", {}), c.get("weight", 1), Budget(**c["budget"]) if "budget" in c else None)
        for c in family
    ]
    return FanOut(children, then=gather, reserve=reserve, on_child_failure=on_child_failure, split=split)


@foreman.step
async def gather(ctx: Context, children: list[ChildOutcome]):
    found = [child.model_dump(mode="json") for child in children]
    short = [child for child in children if child.status != "completed"]
    return Partial(found, f"{len(short)} fell short") if short else found


@agent("fails")
async def fails(ctx: Context, folder: str = ""):
    if folder:
        note(folder, "failed")
    raise RuntimeError("it fails")


@agent("buyer")
async def buyer(ctx: Context, tokens: int = 0, usd: float = 0.0):
    await ctx.charge(tokens=tokens, usd=usd)
    return "spent"


@agent("recorder")
async def recorder(ctx: Context, seconds: float):
    await ctx.partial("what there is")
    await asyncio.sleep(seconds)
    return "all"


booking = Agent("booking")
"""hotel → flight → pay: the first two have an undo."""


def cancel_hotel(ctx: SyncContext, folder: str, room: int):
    note(folder, f"cancel hotel {room}")


async def cancel_flight(ctx: Context, folder: str, failing_undo: bool):
    note(folder, "cancel flight")
    if failing_undo:
        raise RuntimeError("the airline does not answer")


@booking.step(undo=cancel_hotel)
async def hotel(ctx: Context, folder: str, fail: bool = True, failing_undo: bool = False):
    note(folder, "hotel")
    return Next(flight, folder=folder, fail=fail, failing_undo=failing_undo, room=7)


@booking.step(undo=cancel_flight)
async def flight(ctx: Context, folder: str, fail: bool, failing_undo: bool, room: int):
    note(folder, "flight")
    return Next(settle, folder=folder, fail=fail)


@booking.step
async def settle(ctx: Context, folder: str, fail: bool):
    note(folder, "settle")
    if fail:
        raise RuntimeError("the card was declined")
    while not (Path(folder) / "go").exists():
        await asyncio.sleep(0.01)
    return "booked"


several = Agent("several")


@several.step
async def wait_for_several(ctx: Context, every: bool):
    return Wait(["first", "second"], then=got_all if every else got_one, all=every)


@several.step
async def got_one(ctx: Context, signal: Signal[int]):
    return {signal.name: signal.payload}


@several.step
async def got_all(ctx: Context, signal: dict[str, Signal[int]]):
    return {name: one.payload for name, one in signal.items()}


@agent("counted")
async def counted(ctx: Context, folder: str, name: str):
    note(folder, f"counted {name}")
    return name


nested = Agent("nested")


@nested.step
async def descend(ctx: Context, depth: int):
    return FanOut([Child("nested", {"depth": depth - 1})] if depth else [], then=ascend)


@nested.step
async def ascend(ctx: Context, children: list[ChildOutcome]):
    short = [child for child in children if child.status != "completed"]
    return Partial(len(children), "below it fell short") if short else len(children)


bulky = Agent("bulky")


@bulky.step
async def spread(ctx: Context, parts: int, size: int):
    return FanOut([Child("echo", {"value": "x" * size}) for _ in range(parts)], then="measure")


@bulky.step
async def measure(ctx: Context, children: list[ChildOutcome]):
    return [len(await child.load()) for child in children]


harvest = Agent("harvest")
"""Joins children whose results are large, and whose inputs are not."""


@harvest.step
async def sow(ctx: Context, parts: int, size: int, then: str, queue: str):
    return FanOut([Child("grow", {"size": size}, queue=queue)] * parts, then=then)


@harvest.step
async def reap(ctx: Context, children: list[ChildOutcome]):
    return sum([len(await child.load()) for child in children])


@harvest.step
def reap_plainly(ctx: SyncContext, children: list[ChildOutcome]):
    return sum(len(child.result) for child in children)


@agent("grow")
def grow(ctx: SyncContext, size: int):
    return "x" * size


crier = Agent("crier")
"""Emits events of its own, and then waits for `more` where it is told to."""


@crier.step
async def cry(ctx: Context, names: list[str] | None = None, size: int = 0, pause: float = 0.0, waits: bool = False):
    for name in names or []:
        await asyncio.sleep(pause)
        await ctx.emit(name, "x" * size)
    return Wait("more", then=cry_again) if waits else "cried"


@crier.step
async def cry_again(ctx: Context, signal: Signal):
    await ctx.emit("last", signal.payload)
    return "cried"
