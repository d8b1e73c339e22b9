"""An agent whose tasks are exported and replayed, and that writes down each effect that it has."""

import asyncio
import os
from pathlib import Path
from typing import Any

from agent_tasks import (
    Agent,
    Budget,
    Child,
    ChildOutcome,
    Context,
    Done,
    FanOut,
    Next,
    Retry,
    Signal,
    SyncContext,
    UpstreamUnavailable,
    Wait,
    agent,
)

EFFECTS = "TESTED_EFFECTS"
"""The variable that names the file to which each effect adds a line."""
order = Agent("replayed-order", budget=Budget(tokens=1000))


def effect(what: str) -> str:
    with Path(os.environ[EFFECTS]).open("a") as file:
        file.write(f"{what}\n")
    return f"done: {what}"


async def effect_async(what: str) -> str:
    return effect(what)


def failing(what: str) -> str:
    effect(what)
    raise UpstreamUnavailable("the bank is closed")


@order.step
async def begin(ctx: Context, item: str) -> Any:
    quoted, stored = await asyncio.gather(ctx.call(effect, f"quote {item}"), ctx.call(effect_async, f"store {item}"))
    await ctx.charge(tokens=120)
    at = await ctx.now()
    url = await ctx.hook("paid")
    await ctx.using(key="mail").call(effect_async, f"mail {url} at {at.isoformat()}")
    return Wait("paid", then=split, timeout=600, quoted=quoted, stored=stored, left=ctx.budget.tokens)


@order.step
async def split(ctx: Context, quoted: str, stored: str, left: int, signal: Signal[int] | None) -> Any:
    assert signal is not None
    return FanOut([Child("replayed-part", {"n": signal.payload or 0}), Child("replayed-part", {"n": 2})], then=join)


@order.step
def join(ctx: SyncContext, children: list[ChildOutcome]) -> Any:
    return Next(ask, parts=[child.result for child in children], said=ctx.call(effect, "join"))


@order.step
async def ask(ctx: Context, parts: list[str], said: str) -> Any:
    found = await ctx.fan_out([Child("replayed-part", {"n": 3})])
    await ctx.sleep(60)
    answered = await ctx.wait("answer", timeout=600)
    return Done([*parts, said, found[0].result, answered and answered.payload, ctx.spent.tokens])


@agent("replayed-part")
def part(ctx: SyncContext, n: int) -> str:
    return ctx.call(effect, f"part {n}")


@agent("replayed-failing", retry=Retry(attempts=2))
def fails(ctx: SyncContext, item: str) -> str:
    first = ctx.call(effect, f"before {item}")
    second = ctx.call(failing, item)
    return f"{first} {second}"


@agent("replayed-secret", sensitive=True)
def secret(ctx: SyncContext, item: str) -> str:
    return ctx.call(effect, item)


@agent("replayed-secretive")
async def secretive(ctx: Context, item: str) -> list[str]:
    return [child.result for child in await ctx.fan_out([Child("replayed-secret", {"item": item})])]
