from agent_tasks import Agent, Context, Next

from .tasks.usage import count_events, report

EXPECTED = "tides: 50"
desk = Agent("posthog_desk")


@desk.step
async def begin(ctx: Context, word: str):
    return Next(end, word=word, count=await ctx.call(count_events, len(word)))


@desk.step
async def end(ctx: Context, word: str, count: int):
    return await ctx.call(report, count, word)
