from agent_tasks import Agent, Context, Next

from .sql_lab import get_sql_results

EXPECTED = 3
desk = Agent("superset_desk")


@desk.step
async def begin(ctx: Context, word: str):
    return Next(end, found=await ctx.call(get_sql_results, word))


@desk.step
async def end(ctx: Context, found: list[str]):
    return len(found)
