"""Agents of the OpenAI Agents SDK in steps, offline: their models and tools note in a file what they did."""

# pyright: reportAttributeAccessIssue=false, reportInvalidTypeArguments=false
# To pyright `agents` is tests/agents.py, not the SDK.

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from agents import Agent as Framework
from agents import ModelResponse, Usage, function_tool, set_tracing_disabled
from agents.models.interface import Model
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from agent_tasks import Agent, Budget, Context
from agent_tasks.integrations.openai_agents import run
from tests.agents_pydantic_ai import USD, did

set_tracing_disabled(True)


def price(usage: Any, model: str) -> float:
    return USD


def call(tool: str, id: str, **arguments: Any) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(name=tool, call_id=id, arguments=json.dumps(arguments), type="function_call")


def says(text: str) -> ResponseOutputMessage:
    content = ResponseOutputText(text=text, type="output_text", annotations=[])
    return ResponseOutputMessage(id="m", role="assistant", status="completed", type="message", content=[content])


class Scripted(Model):
    """A fake model of the SDK's kind: what it answers follows from the outputs of tools that it is given."""

    def __init__(self, name: str, calls: list[list[ResponseFunctionToolCall]]) -> None:
        self.model = name
        self._calls = calls

    async def get_response(self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any) -> ModelResponse:
        given = [] if isinstance(input, str) else input
        seen = [item["output"] for item in given if item.get("type") == "function_call_output"]
        did(f"{self.model} {len(seen)}")
        turn = next((calls for n, calls in enumerate(self._calls) if sum(map(len, self._calls[:n])) == len(seen)), None)
        output: list[Any] = list(turn) if turn else [says(", ".join(sorted(map(str, seen))))]
        usage = Usage(requests=1, input_tokens=10, output_tokens=2, total_tokens=12)
        return ModelResponse(output=output, usage=usage, response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        raise NotImplementedError


@function_tool
async def look(at: str) -> str:
    did(f"look {at}")
    await asyncio.sleep(0.01)
    return at.upper()


@function_tool(needs_approval=True)
async def pay(cents: int) -> str:
    did(f"pay {cents}")
    return f"paid {cents}"


watcher: Framework[Any] = Framework(
    "watcher",
    model=Scripted(
        "request", [[call("look", "a", at="Rome"), call("look", "b", at="Oslo")], [call("look", "c", at="Bonn")]]
    ),
    tools=[look],
)
payer: Framework[Any] = Framework(
    "payer", model=Scripted("ask", [[call("pay", "one", cents=900), call("pay", "two", cents=5)]]), tools=[pay]
)

watching = Agent("openai-watcher", budget=Budget(usd=1.0))
paying = Agent("openai-payer", budget=Budget(usd=1.0), signals=["approval"])


@watching.step
async def watch(ctx: Context) -> dict[str, Any]:
    result = await run(ctx, watcher, "look around", price=price, reserve=Budget(usd=USD))
    return {"output": result.final_output, "requests": result.context_wrapper.usage.requests}


@paying.step
async def spend(ctx: Context) -> str:
    once = {"pay": {"at_most_once": True}}
    return str((await run(ctx, payer, "pay them", timeout=3600, price=price, tools=once)).final_output)
