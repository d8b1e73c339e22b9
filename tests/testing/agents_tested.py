"""Agents for the tests of the test kit."""

from datetime import timedelta
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
    Signal,
    Sleep,
    SyncContext,
    Wait,
)

letter = Agent("tested_letter", budget=Budget(tokens=1000))


def complete(prompt: str) -> str:
    raise AssertionError("a model would be paid")


async def send(text: str) -> str:
    return f"sent {text}"


@letter.step
async def draft(ctx: Context, topic: str) -> Any:
    text = await ctx.call(complete, f"Write about {topic}")
    return Wait("approval", then=publish, timeout=timedelta(days=2), text=text)


@letter.step
async def publish(ctx: Context, text: str, signal: Signal | None) -> Any:
    if signal is None:
        return Done({"sent": None})
    return Done({"sent": await ctx.call(send, text)})


reminder = Agent("tested_reminder")


@reminder.step
async def remind(ctx: Context, left: int) -> Any:
    return Sleep(timedelta(hours=3, minutes=36), then=remind, left=left - 1) if left else Done("over")


plain = Agent("tested_plain")


@plain.step
def first(ctx: SyncContext, n: int) -> Any:
    return Next(second, n=ctx.call(double, n))


@plain.step
def second(ctx: SyncContext, n: int) -> Any:
    return {"n": n, "at": ctx.now().isoformat()}


def double(n: int) -> int:
    return 2 * n


parent = Agent("tested_parent")


@parent.step
async def spread(ctx: Context, n: int) -> Any:
    return FanOut([Child("tested_plain", {"n": i}) for i in range(n)], then=gather)


@parent.step
async def gather(ctx: Context, children: list[ChildOutcome]) -> Any:
    return [child.result["n"] for child in children]
