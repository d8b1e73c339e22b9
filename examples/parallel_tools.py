"""An agent's loop: think, call the tools that the model asked for side by side, think again."""

import asyncio
from typing import Any

from pydantic import BaseModel

from agent_tasks import Agent, Context, Done, Next, submit

assistant = Agent("example-assistant")


class ToolCall(BaseModel):
    tool: str
    argument: str


class Turn(BaseModel):
    """What the model says: tools to call, or an answer."""

    calls: list[ToolCall] = []
    answer: str = ""


async def ask_model(question: str, found: list[str]) -> Turn:
    """Stands for a model that calls two tools, and then answers."""
    if found:
        return Turn(answer=f"{question} {'; '.join(found)}.")
    return Turn(calls=[ToolCall(tool="weather", argument="Lisbon"), ToolCall(tool="population", argument="Lisbon")])


async def weather(place: str) -> str:
    return f"sunny in {place}"


async def population(place: str) -> str:
    return f"{place} has 545,000 people"


TOOLS = {"weather": weather, "population": population}


@assistant.step
async def think(ctx: Context, question: str, found: list[str] | None = None) -> Next | Done:
    turn = await ctx.call(ask_model, question, found or [])
    if turn.answer:
        return Done(turn.answer)
    return Next(act, question=question, calls=turn.calls)


@assistant.step
async def act(ctx: Context, question: str, calls: list[ToolCall]) -> Next:
    # each is recorded by itself: after a crash only those are made that have no outcome yet
    found = await asyncio.gather(*(ctx.call(TOOLS[call.tool], call.argument) for call in calls))
    return Next(think, question=question, found=list(found))


def ask(question: str) -> Any:
    return submit(assistant, {"question": question}).result(timeout=30)


if __name__ == "__main__":
    print(ask("Lisbon?"))
