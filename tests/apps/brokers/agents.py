import time

from agent_tasks import Agent, Next, SyncContext

from .app import note

walk = Agent("brokers_walk")


@walk.step
def first(ctx: SyncContext, number: int):
    time.sleep(0.05)  # so that some are always running when a worker is killed
    return Next(second, line=ctx.call(note, f"{number} first"), number=number)


@walk.step
def second(ctx: SyncContext, line: str, number: int):
    time.sleep(0.05)
    return Next(third, line=ctx.call(note, f"{number} second"), number=number)


@walk.step
def third(ctx: SyncContext, line: str, number: int):
    return ctx.call(note, f"{number} third")
