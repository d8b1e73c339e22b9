from agent_tasks import Agent, Context, Next

from .tasks import add, xsum

EXPECTED = 12
desk = Agent("django_guide_desk")


@desk.step
async def begin(ctx: Context, word: str):
    return Next(end, length=await ctx.call(add, len(word), 1))


@desk.step
async def end(ctx: Context, length: int):
    return await ctx.call(xsum, [length, length])
