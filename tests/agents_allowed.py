"""Agents that say what they may do: which functions they call, and which scopes their callers need."""

import functools
from typing import Any

from agent_tasks import Agent, Child, ChildOutcome, Context, FanOut, Next, StepFailed, SyncContext


async def look_up(word: str) -> str:
    return f"found {word}"


def fetch(word: str) -> str:
    return f"fetched {word}"


async def delete(word: str) -> str:
    return f"deleted {word}"


class Shop:
    def order(self, word: str) -> str:
        return f"ordered {word}"


FUNCTIONS: dict[str, Any] = {
    "look_up": look_up,
    "fetch": fetch,
    "delete": delete,
    "partly": functools.partial(look_up),
    "order": Shop().order,
}

guarded = Agent("guarded", goal="Looks words up", tools=[look_up, "fetch"], scopes=["words:read"])


@guarded.step
async def begin(ctx: Context, name: str):
    return Next(end, found=await ctx.call(FUNCTIONS[name], "tides"))


@guarded.step
def end(ctx: SyncContext, found: str):
    return ctx.call(fetch, found)


plain = Agent("guarded_plain", tools=["fetch"])


@plain.step
def do(ctx: SyncContext, name: str):
    return ctx.call(FUNCTIONS[name], "tides")


hires = Agent("hires")


@hires.step
async def hire(ctx: Context, folder: str = ""):
    return FanOut([Child("guarded", {"name": "look_up"})], then=gather)


@hires.step
async def gather(ctx: Context, children: list[ChildOutcome]):
    return [child.result for child in children]


async def take_back(ctx: Context, word: str) -> None:
    await ctx.call(look_up, word)


undoes = Agent("guarded_undo", tools=[look_up], scopes=["words:read"])


@undoes.step(undo=take_back)
async def write(ctx: Context, word: str):
    return Next(fail, word=word)


@undoes.step
async def fail(ctx: Context, word: str):
    raise StepFailed("as planned")
