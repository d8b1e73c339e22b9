"""An agent whose trees spend on every path and end in every way."""

import asyncio
from typing import Any

from agent_tasks import Agent, Child, ChildOutcome, Context, FanOut, Partial, Retry
from tests.agents import note

purse = Agent("purse")
"""spend → end, with the children of `plan` in between. Each charge of dollars is another amount in its task."""


async def pay_back(ctx: Context, plan: dict[str, Any], folder: str):
    await _charge(ctx, folder, 0.5)


@purse.step(retry=Retry(attempts=2, base=0.01), undo=pay_back)
async def spend(ctx: Context, plan: dict[str, Any], folder: str):
    await _pay(ctx, folder)
    children = [Child("purse", {"plan": below, "folder": folder}) for below in plan["children"]]
    return FanOut(
        children, then=end, reserve=plan["reserve"], on_child_failure=plan["policy"], plan=plan, folder=folder
    )


@purse.step
async def end(ctx: Context, plan: dict[str, Any], folder: str, children: list[ChildOutcome]):
    await _pay(ctx, folder)
    if plan["end"] == "fails":
        raise RuntimeError("as planned")
    if plan["end"] == "holds":
        await asyncio.Event().wait()
    return Partial("some", "as planned") if plan["end"] == "partial" else "done"


async def _pay(ctx: Context, folder: str) -> None:
    async def buy(number: int) -> int:
        await ctx.charge(tokens=7)  # each time that it is made
        note(folder, f"{ctx.task_id} tokens")
        return number

    await _charge(ctx, folder, 0.1)
    await asyncio.gather(ctx.call(buy, 1), ctx.call(buy, 2))
    await _charge(ctx, folder, 0.2)


async def _charge(ctx: Context, folder: str, usd: float) -> None:
    usd += ctx.step_number
    await ctx.charge(usd=usd)
    note(folder, f"{ctx.task_id} {usd}")
