"""Agents whose steps do nothing, so that what is measured is the system."""

import time

from agent_tasks import Agent, Context, Done, Next, Signal, Sleep, SyncContext, Wait

loop = Agent("loop")


@loop.step
def spin(ctx: SyncContext, steps: int):
    return Done(steps) if steps <= 1 else Next(spin, steps=steps - 1)


loop_async = Agent("loop_async")


@loop_async.step
async def spin_async(ctx: Context, steps: int):
    return Done(steps) if steps <= 1 else Next(spin_async, steps=steps - 1)


clock = Agent("clock")


@clock.step
async def tell(ctx: Context):
    return time.time()


gate = Agent("gate")


@gate.step
async def park(ctx: Context):
    return Wait("open", then=passed)


@gate.step
async def passed(ctx: Context, signal: Signal | None):
    return time.time()


alarm = Agent("alarm")


@alarm.step
async def set_alarm(ctx: Context, seconds: float):
    return Sleep(seconds, then=ring)


@alarm.step
async def ring(ctx: Context):
    return time.time()
