"""Agents as hosts of the Model Context Protocol meet them: shown, renamed, hidden, and asking."""

import asyncio
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from agent_tasks import Agent, Context, McpError, McpTool, Signal, Sleep, Wait, agent

QUEUE = "mcp"


@agent("repeats", queue=QUEUE, goal="Gives back what it is given.")
async def echo(ctx: Context, text: str, times: int = 1):
    return text * times


@agent("counts_words", queue=QUEUE, mcp=McpTool(name="count.words", description="Counts words.", read_only=True))
async def count_words(ctx: Context, text: str):
    return {"words": len(text.split())}


@agent("hidden", queue=QUEUE, mcp=None)
async def hidden(ctx: Context, text: str):
    return text


@agent("guarded", queue=QUEUE, scopes=["vault"])
async def guarded(ctx: Context):
    return "open"


@agent("laborious", queue=QUEUE, mcp=McpTool(task="required"))
async def laborious(ctx: Context, text: str = "done", holds: str = ""):
    """Work for as long as a file is there."""
    while holds and Path(holds).exists():
        await asyncio.sleep(0.02)
    return text


@agent("prompt", queue=QUEUE, mcp=McpTool(task="never"))
async def prompt(ctx: Context, holds: str = ""):
    while holds and Path(holds).exists():
        await asyncio.sleep(0.02)
    return "at once"


@agent("reporting", queue=QUEUE)
async def reporting(ctx: Context, folder: str, parts: int = 3):
    """Report each part, and go on to the next when somebody has seen it."""
    for part in range(1, parts + 1):
        await ctx.progress(part, parts, f"part {part}")
        while not Path(folder, str(part)).exists():
            await asyncio.sleep(0.02)
    return parts


@agent("frozen", queue=QUEUE)
async def failing(ctx: Context, how: str = "value"):
    if how == "json-rpc":
        raise McpError(-32050, "the lake is frozen", {"depth": 3})
    raise ValueError("no such lake")


class Verdict(BaseModel):
    """May this be published?"""

    ok: bool = Field(title="Publish it")
    remark: str | None = None
    size: Literal["small", "large"] = "small"


class Party(BaseModel):
    """Who comes, and when?"""

    seats: int = Field(ge=1, le=8)
    evening: bool


asking = Agent("asking_mcp", queue=QUEUE, goal="Publishes what was approved.")


@asking.step
async def ask_approval(ctx: Context, text: str, names: list[str] | None = None):
    return Wait(names or "approval", then=publish, all=names is not None, text=text)


@asking.step
async def publish(ctx: Context, text: str, signal: Signal[Verdict] | dict[str, Signal[Verdict]] | None):
    return {"text": text}


unasked = Agent("unasked", queue=QUEUE)


@unasked.step
async def wait_for_machine(ctx: Context):
    return Wait("arrived", then=arrived)


@unasked.step
async def arrived(ctx: Context, signal: Signal | None):
    return None if signal is None else signal.payload


twice = Agent("asks_twice", queue=QUEUE)
"""Two waits of one name, one after the other."""


@twice.step
async def first_question(ctx: Context):
    return Wait("approval", then=second_question)


@twice.step
async def second_question(ctx: Context, signal: Signal[Verdict]):
    return Wait("approval", then=both, first=signal.payload is not None and signal.payload.ok)


@twice.step
async def both(ctx: Context, first: bool, signal: Signal[Verdict]):
    return [first, signal.payload is not None and signal.payload.ok]


@agent("books_table", queue=QUEUE, mcp=McpTool(ask=Party, title="Book a table", destructive=False))
async def booking(ctx: Context, place: str, seats: int, evening: bool):
    return {"place": place, "seats": seats, "evening": evening}


sleepy = Agent("dozes", queue=QUEUE)


@sleepy.step
async def go_to_sleep(ctx: Context, seconds: float = 3600):
    return Sleep(seconds, then=wake_up)


@sleepy.step
async def wake_up(ctx: Context):
    return "awake"


@agent("any_json", queue=QUEUE)
async def any_json(ctx: Context, value: Any = None):
    return value
