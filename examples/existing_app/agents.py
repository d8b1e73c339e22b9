"""An agent that asks a model twice, and sends its answer by a task that the app has."""

import asyncio
import os

from agent_tasks import Agent, Budget, Context, Done, Next

from .shop import send_mail

correspondent = Agent("correspondent", budget=Budget(seconds=120))


async def ask_model(prompt: str) -> str:
    """Stands for a model that is paid for each time: so each time is noted."""
    with open(os.environ["PAID_FOR"], "a") as file:
        file.write(f"{prompt}\n")
    return f"<{prompt}>"


@correspondent.step
async def outline(ctx: Context, topic: str):
    return Next(write, plan=await ctx.call(ask_model, f"outline {topic}"))


@correspondent.step
async def write(ctx: Context, plan: str):
    text = await ctx.call(ask_model, f"write {plan}")
    await ctx.emit("written")
    if os.environ.get("SLOW"):
        await asyncio.sleep(60)  # in which the worker is killed
    return Next(send, text=text)


@correspondent.step
async def send(ctx: Context, text: str):
    await ctx.call(send_mail, "ana", text)
    return Done(text)
