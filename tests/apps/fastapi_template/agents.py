from agent_tasks import Agent, Context, Next

from .worker import test_celery

EXPECTED = "TEST TASK RETURN TIDES"
desk = Agent("fastapi_template_desk")


@desk.step
async def begin(ctx: Context, word: str):
    return Next(end, said=await ctx.call(test_celery, word))


@desk.step
async def end(ctx: Context, said: str):
    return said.upper()
