from agent_tasks import Agent, Context, Next

from .search_tasks import update_search

EXPECTED = "indexed tides"
desk = Agent("saleor_desk")


@desk.step
async def begin(ctx: Context, word: str):
    return Next(end, token=word)


@desk.step
async def end(ctx: Context, token: str):
    return await ctx.call(update_search, token)
