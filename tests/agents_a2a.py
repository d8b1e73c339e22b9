"""Agents that are reached over A2A."""

import asyncio
from typing import Any

from pydantic import BaseModel

from agent_tasks import A2ASkill, Agent, Context, Next, Signal, Wait, agent


@agent("talker", queue="a2a", a2a=A2ASkill(id="talk", tags=["words"], description="Says what it heard."))
async def talk(ctx: Context, text: str, loud: bool = False):
    return f"heard {text.upper() if loud else text}"


@agent("teller", queue="a2a", a2a=A2ASkill(reply="message"))
async def tell(ctx: Context, text: str):
    return {"told": text}


class Verdict(BaseModel):
    ok: bool
    remark: str = ""


drafter = Agent("drafter", queue="a2a", goal="Drafts, and asks for an approval.", signals=["approval", "note"])
"""It says nothing of A2A."""


@drafter.step
async def draft(ctx: Context, topic: str):
    await ctx.partial(f"a draft on {topic}")
    await ctx.emit("drafted", {"topic": topic})
    return Wait("approval", then=publish, topic=topic)


@drafter.step
async def publish(ctx: Context, topic: str, signal: Signal[Verdict] | None):
    verdict = signal.payload if signal and signal.payload else Verdict(ok=False)
    return {"topic": topic, "ok": verdict.ok, "remark": verdict.remark}


@agent("asker", queue="a2a", a2a=A2ASkill())
async def asker(ctx: Context, text: str):
    """A step that waits in its midst, for one of two."""
    said = await ctx.wait(["yes", "no"])
    return said and {"signal": said.name, "payload": said.payload}


@agent("secret", queue="a2a", a2a=None)
async def secret(ctx: Context, text: str):
    return text


@agent("royal", queue="a2a", scopes=["royal"], a2a=A2ASkill())
async def royal(ctx: Context, text: str):
    return text


@agent("private", queue="a2a", sensitive=True, a2a=A2ASkill())
async def private(ctx: Context, text: str):
    return "done"


@agent("breaker", queue="a2a", a2a=A2ASkill())
async def breaker(ctx: Context, text: str):
    await ctx.partial({"so": "far"})
    raise ValueError(text)


@agent("counter", queue="a2a", a2a=A2ASkill())
async def counter(ctx: Context, to: int, n: int = 0) -> Any:
    await ctx.progress(n, to, f"{n} of {to}")
    return n if n >= to else Next("counter", to=to, n=n + 1)


@agent("dawdler", queue="a2a", a2a=A2ASkill())
async def dawdler(ctx: Context, text: str, seconds: float):
    await ctx.call(asyncio.sleep, seconds)
    return text
