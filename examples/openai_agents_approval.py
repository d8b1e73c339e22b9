"""An agent of the OpenAI Agents SDK that pays once a person has approved it: offline, with a model of its own."""

from collections.abc import AsyncIterator
from typing import Any

from agents import Agent as Framework
from agents import ModelResponse, Usage, function_tool, set_tracing_disabled
from agents.models.interface import Model
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from agent_tasks import Agent, Budget, Context, submit
from agent_tasks.integrations.openai_agents import run

set_tracing_disabled(True)


class Fake(Model):
    async def get_response(self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any) -> ModelResponse:
        given: list[dict[str, Any]] = [] if isinstance(input, str) else input
        paid: list[Any] = [item["output"] for item in given if item.get("type") == "function_call_output"]
        asks = ResponseFunctionToolCall(name="pay", call_id="1", arguments='{"cents": 900}', type="function_call")
        says = ResponseOutputText(text=f"Done: {paid[0] if paid else ''}", type="output_text", annotations=[])
        done = ResponseOutputMessage(id="m", role="assistant", status="completed", type="message", content=[says])
        return ModelResponse(output=[done if paid else asks], usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        raise NotImplementedError


@function_tool(needs_approval=True)
def pay(cents: int) -> str:
    """Pay so many cents."""
    return f"paid {cents} cents"


clerk: Framework[Any] = Framework("clerk", model=Fake(), tools=[pay])
office = Agent("office-by-openai-agents", budget=Budget(usd=1.0), signals=["approval"])


@office.step
async def settle(ctx: Context, bill: str) -> str:
    once = {"pay": {"at_most_once": True}}
    result = await run(ctx, clerk, f"Settle this bill: {bill}", tools=once, price=lambda usage, model: 0.0)
    return str(result.final_output)


if __name__ == "__main__":
    task = submit(office, {"bill": "9 dollars for tea"})
    for event in task.events(follow=True, timeout=30):
        if event.type == "approval_asked":  # what is to be paid, and the digest of just that
            print(event.data["tool"], event.data["arguments"])
            task.signal("approval", {"call": event.data["call"], "approved": True})
    print(task.result(timeout=30))
