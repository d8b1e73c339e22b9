"""Agents that the console is looked at with: waits, children, calls that cost, failures, texts that are no HTML."""

import asyncio
import logging
from datetime import timedelta

from pydantic import BaseModel, Field

from agent_tasks import Agent, Budget, Child, ChildOutcome, Context, Done, FanOut, Next, Retry, Signal, Sleep, Wait

log = logging.getLogger("agents_console")


class Decision(BaseModel):
    """May this be published?"""

    ok: bool
    note: str = Field(default="", max_length=400)


async def complete(prompt: str) -> str:
    await asyncio.sleep(0.03)
    return f"An answer to {prompt}"


async def search_web(query: str) -> list[str]:
    return [query]


columnist = Agent(
    "columnist", goal="Writes an article, which a person lets out.", budget=Budget(seconds=600, tokens=50_000, usd=2.0),
    signals=["approval"],
)  # fmt: skip


@columnist.step
async def outline(ctx: Context, topic: str, markup: str = "") -> Next:
    await ctx.call(search_web, topic)
    await ctx.call(complete, f"Outline {topic}")
    await ctx.charge(tokens=1_200, usd=0.012)
    log.warning("outlined %s %s", topic, markup)
    await ctx.progress(1, 3, f"outlined {topic} {markup}")
    return Next(draft, topic=topic, markup=markup)


@columnist.step
async def draft(ctx: Context, topic: str, markup: str) -> Wait:
    for part in range(3):
        await ctx.call(complete, f"Part {part} of {topic}")
        await ctx.charge(tokens=2_000, usd=0.031)
    await ctx.emit(f"drafted {markup}"[:60], {"markup": markup, "words": 1200})
    return Wait("approval", then=publish, timeout=timedelta(days=2), text=f"{topic} {markup}")


@columnist.step
async def publish(ctx: Context, text: str, signal: Signal[Decision] | None) -> Done:
    return Done({"published": signal is not None and signal.payload is not None and signal.payload.ok, "text": text})


magazine = Agent("magazine", goal="Has several write, and joins what they wrote.", budget=Budget(seconds=900, usd=5.0))


@magazine.step
async def share(ctx: Context, topics: list[str]) -> FanOut:
    return FanOut([Child("tallier", {"to": 2, "name": topic}) for topic in topics], then=join)


@magazine.step
async def join(ctx: Context, children: list[ChildOutcome]) -> Done:
    return Done([child.result for child in children])


tallier = Agent("tallier")


@tallier.step
async def up(ctx: Context, to: int, name: str = "", n: int = 0) -> Done | Next:
    await ctx.charge(tokens=10, usd=0.001)
    return Done(f"{name} {n}") if n >= to else Next(up, to=to, name=name, n=n + 1)


hibernator = Agent("hibernator")


@hibernator.step
async def sleep(ctx: Context, seconds: float) -> Sleep:
    return Sleep(timedelta(seconds=seconds), then=wake)


@hibernator.step
async def wake(ctx: Context) -> str:
    return "awake"


faulty = Agent("faulty", budget=Budget(usd=1.0))


@faulty.step
async def begin(ctx: Context, markup: str = "") -> Next:
    return Next(fail, markup=markup)


@faulty.step(retry=Retry(attempts=2, base=0.05))
async def fail(ctx: Context, markup: str) -> None:
    await ctx.call(complete, "something")
    raise ValueError(f"the tool said {markup or 'no'}")


secretkeeper = Agent("secretkeeper", sensitive=True)


@secretkeeper.step
async def ask(ctx: Context, secret: str) -> Wait:
    return Wait("approval", then=tell, secret=secret)


@secretkeeper.step
async def tell(ctx: Context, secret: str, signal: Signal) -> str:
    return secret
