"""Agents whose traces are looked at: of many kinds of spans, and of a worker that dies."""

import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

from agent_tasks import (
    Agent,
    Child,
    ChildOutcome,
    Context,
    FanOut,
    Next,
    Retry,
    Signal,
    SyncContext,
    UpstreamUnavailable,
    Usage,
    Wait,
)


async def look_up(topic: str) -> str:
    return f"what is known of {topic}"


async def think(topic: str) -> str:
    return topic.upper()


traced = Agent("traced", tools=["*", look_up])
helper = Agent("traced_helper")
mortal = Agent("traced_mortal")


@traced.step
async def plan(ctx: Context, topic: str) -> FanOut:
    await ctx.call(look_up, topic)
    await ctx.call(think, topic)
    await ctx.charge_usage(Usage(input_tokens=100, output_tokens=20), model="openai:gpt-4o-mini")
    return FanOut([Child("traced_helper", {"part": part}) for part in (1, 2)], then=ask)


@helper.step
def help_out(ctx: SyncContext, part: int) -> int:
    return part


@traced.step
async def ask(ctx: Context, children: list[ChildOutcome]) -> Wait:
    return Wait("approval", then=publish, timeout=timedelta(hours=1), parts=[child.result for child in children])


@traced.step(retry=Retry(attempts=2, base=0.01))
async def publish(ctx: Context, parts: list[int], signal: Signal | None) -> Any:
    if ctx.attempt == 1:
        raise UpstreamUnavailable("the printer is on fire")
    got = await ctx.wait("second", timeout=timedelta(hours=1))
    return {"parts": parts, "second": got and got.payload}


@mortal.step
def first(ctx: SyncContext, died: str) -> Next:
    return Next(second, died=died)


@mortal.step
def second(ctx: SyncContext, died: str) -> str:
    if not Path(died).exists():
        Path(died).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"
