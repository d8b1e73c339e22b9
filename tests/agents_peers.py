"""Agents that call programs elsewhere."""

import asyncio
from typing import Any

from agent_tasks import (
    A2AAgent,
    Agent,
    Budget,
    Child,
    ChildOutcome,
    Context,
    FanOut,
    McpServer,
    Retry,
    StepFailed,
    SyncContext,
    UpstreamUnavailable,
    agent,
)


@agent("asks_tool")
async def asks_tool(ctx: Context, url: str, tool: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
    result = await ctx.mcp(url).call(tool, arguments)
    return {"text": result.text, "data": result.data, "tokens": ctx.spent.tokens}


@agent("asks_tool_plainly")
def asks_tool_plainly(ctx: SyncContext, url: str, tool: str, arguments: dict[str, Any] | None = None) -> str:
    return ctx.mcp(url).call(tool, arguments).text


@agent("asks_tool_by_keys", retry=Retry(attempts=2, base=0))
async def asks_tool_by_keys(ctx: Context, url: str) -> dict[str, str]:
    """Two calls that are the same but for their keys, in the second try the other way round."""
    keys = ("a", "b") if ctx.attempt == 1 else ("b", "a")
    found = {key: (await ctx.using(key=key).mcp(url).call("nth")).text for key in keys}
    if ctx.attempt == 1:
        raise UpstreamUnavailable("not yet")
    return found


@agent("asks_tool_until_it_answers")
async def asks_tool_until_it_answers(ctx: Context, url: str, attempts: int) -> str:
    return (await ctx.using(retry=Retry(attempts=attempts, base=0)).mcp(url).call("flaky")).text


@agent("asks_tool_once")
async def asks_tool_once(ctx: Context, url: str) -> str:
    return (await ctx.using(at_most_once=True).mcp(url).call("echo", {"word": "once"})).text


@agent("asks_tool_again", retry=Retry(attempts=3, base=0))
async def asks_tool_again(ctx: Context, url: str, tool: str) -> str:
    return (await ctx.mcp(url).call(tool)).text


@agent("goes_on", budget=Budget(seconds=600, tokens=100, calls=3, steps=6, usd=1.0))
async def goes_on(ctx: Context, url: str) -> list[str]:
    """Two tools at once, of a budget that has nothing left for a child; then one whose failure is no end."""
    found = await asyncio.gather(*(ctx.mcp(url).call("slow", {"n": n}) for n in range(2)))
    try:
        await ctx.mcp(url).call("fault")
    except StepFailed as error:
        return [*(one.text for one in found), error.message]
    return []


@agent("forbidden_tool", tools=["mcp:echo"])
async def forbidden_tool(ctx: Context, url: str, tool: str) -> str:
    return (await ctx.mcp(url).call(tool, {"word": "a"})).text


@agent("asks_with_key")
async def asks_with_key(ctx: Context, url: str) -> str:
    """Its headers are declared in the step: a test's only worker has them, and no other."""
    server = McpServer(url, headers=headers_of)
    return (await ctx.mcp(server).call("slow")).text


async def headers_of(identity: Any) -> dict[str, str]:
    return {"authorization": f"Bearer secret-of-{identity.subject}"}


travel = Agent("travel", budget=Budget(seconds=600, tokens=1000, usd=1.0))
"""Has agents elsewhere do something, and says how they ended."""


@travel.step
async def ask(ctx: Context, url: str, inputs: list[Any]) -> FanOut:
    return FanOut([Child(a2a=url, input=one) for one in inputs], then=gather)


@travel.step
async def gather(ctx: Context, children: list[ChildOutcome]) -> list[Any]:
    return [
        {"status": str(child.status), "result": child.result, "error": child.error and child.error.message}
        for child in children
    ]


@agent("travel_straight")
async def travel_straight(ctx: Context, url: str, text: str) -> str:
    remote = A2AAgent(url, headers=headers_of, skill="booking")
    (child,) = await ctx.fan_out([Child(a2a=remote, input=text)])
    return str(child.result["text"])


@agent("travel_again", retry=Retry(attempts=3, base=0))
async def travel_again(ctx: Context, url: str) -> str:
    (child,) = await ctx.fan_out([Child(a2a=url, input="again", metadata={"attempt": ctx.attempt})])
    if child.error is not None:
        raise UpstreamUnavailable(child.error.message)
    return str(child.result["text"])


crowd = Agent("crowd_elsewhere")
"""As many tools at once as it is told to."""


@crowd.step
async def crowd_step(ctx: Context, url: str, members: int) -> int:
    found = await asyncio.gather(*(ctx.mcp(url).call("slow", {"n": n}) for n in range(members)))
    return len({one.text for one in found})


@agent("guide", signals=["day"])
async def guide(ctx: Context, text: str) -> dict[str, Any]:
    """Asks for a day before it answers."""
    await ctx.charge(tokens=5)
    day = await ctx.wait("day")
    return {"text": text, "day": None if day is None else day.payload}


@agent("guided", budget=Budget(seconds=600, tokens=100))
async def guided(ctx: Context, url: str, text: str) -> list[Any]:
    """Has a guide of an agent-tasks elsewhere."""
    (child,) = await ctx.fan_out([Child(a2a=A2AAgent(url, skill="guide"), input=text)])
    return [child.result and child.result["data"], child.error and child.error.message, ctx.spent.tokens]
