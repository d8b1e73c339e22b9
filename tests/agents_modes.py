"""Agents that say how a submit over HTTP is answered."""

from agent_tasks import Agent, Context, Wait, agent


@agent("at_once", mode="async")
async def at_once(ctx: Context, text: str):
    return text


@agent("in_time", mode="sync")
async def in_time(ctx: Context, text: str):
    return text


undecided = Agent("undecided", mode="auto", mode_hints=["in the background"])


@undecided.step
async def decide_later(ctx: Context, text: str, waits: bool = False):
    return Wait("go", then=go_on, text=text) if waits else text


@undecided.step
async def go_on(ctx: Context, text: str):
    return text


@agent("newcomer", mode="auto")
async def newcomer(ctx: Context, text: str):
    """Nothing is known of it when the test begins."""
    return text
