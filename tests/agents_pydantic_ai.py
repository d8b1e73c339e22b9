"""Agents of Pydantic AI in steps, offline: their models and tools note in a file what they did."""

import asyncio
import os
import signal
from typing import Any

from pydantic_ai import Agent as Framework
from pydantic_ai import DeferredToolRequests
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from agent_tasks import Agent, Budget, Context
from agent_tasks.integrations.pydantic_ai import TaskDurability, run
from tests.agents import note, notes

USD = 0.01
"""What each request costs."""
USAGE = {"input_tokens": 10, "output_tokens": 2}


def did(what: str) -> None:
    """Note an effect; the first time, that kills the process where a test wants it so."""
    if folder := os.environ.get("ACME_EFFECTS"):
        note(folder, what)
        if "ACME_KILLED" in os.environ and notes(folder).count(what) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
    done.append(what)


done: list[str] = []


def returned(messages: list[ModelMessage]) -> list[Any]:
    return [part.content for message in messages for part in message.parts if part.part_kind == "tool-return"]


def answer(*parts: Any) -> ModelResponse:
    return ModelResponse(parts=list(parts), usage=RequestUsage(**USAGE))


async def thinks(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Two tools at once, then one, then the answer."""
    seen = returned(messages)
    did(f"request {len(seen)}")
    if not seen:
        return answer(ToolCallPart("look", {"at": "Rome"}, "a"), ToolCallPart("look", {"at": "Oslo"}, "b"))
    if len(seen) == 2:
        return answer(ToolCallPart("look", {"at": "Bonn"}, "c"))
    return answer(TextPart(f"saw {', '.join(seen)}"))


def durability(**options: Any) -> TaskDurability:
    return TaskDurability(price=lambda usage, model: USD, **options)


watcher: Framework[None, str] = Framework(
    FunctionModel(thinks), name="watcher", capabilities=[durability(reserve=Budget(usd=USD))]
)


@watcher.tool_plain
async def look(at: str) -> str:
    did(f"look {at}")
    await asyncio.sleep(0.01)
    return at.upper()


async def pays(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    seen = returned(messages)
    did(f"ask {len(seen)}")
    if not seen:
        return answer(ToolCallPart("pay", {"cents": 900}, "one"), ToolCallPart("pay", {"cents": 5}, "two"))
    return answer(TextPart(f"{sorted(map(str, seen))}"))


payer: Framework[None, Any] = Framework(
    FunctionModel(pays), name="payer", output_type=[str, DeferredToolRequests], capabilities=[durability()]
)


@payer.tool_plain(requires_approval=True, metadata={"agent_tasks": {"at_most_once": True}})
def pay(cents: int) -> str:
    did(f"pay {cents}")
    return f"paid {cents}"


watching = Agent("pydantic-ai-watcher", budget=Budget(usd=1.0))
paying = Agent("pydantic-ai-payer", budget=Budget(usd=1.0), signals=["approval"])


@watching.step
async def watch(ctx: Context) -> dict[str, Any]:
    result = await run(ctx, watcher, "look around")
    return {"output": result.output, "requests": result.usage.requests}


@paying.step
async def spend(ctx: Context) -> str:
    return (await run(ctx, payer, "pay them", timeout=3600)).output
