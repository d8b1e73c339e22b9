from agent_tasks import Agent, Context, Next, SyncContext

from .tasks import add

EXPECTED = [5, 11]
QUEUE = "unusual.agents"
desk = Agent("unusual_desk")


@desk.step
def begin(ctx: SyncContext, word: str):
    return Next(end, length=len(word))


@desk.step
async def end(ctx: Context, length: int):
    return [length, await ctx.call(add, length, 6)]
