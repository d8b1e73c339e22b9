"""An agent of Pydantic AI that pays once a person has approved it: offline, with the framework's own fake model."""

from pydantic_ai import Agent as Framework
from pydantic_ai import DeferredToolRequests, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from agent_tasks import Agent, Budget, Context, submit
from agent_tasks.integrations.pydantic_ai import TaskDurability, run


def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    paid = [part.content for message in messages for part in message.parts if part.part_kind == "tool-return"]
    return ModelResponse([TextPart(f"Done: {paid[0]}") if paid else ToolCallPart("pay", {"cents": 900})])


clerk: Framework[None, str | DeferredToolRequests] = Framework(
    FunctionModel(model), name="clerk", output_type=[str, DeferredToolRequests], capabilities=[TaskDurability()]
)


@clerk.tool_plain(requires_approval=True, metadata={"agent_tasks": {"at_most_once": True}})
def pay(cents: int) -> str:
    return f"paid {cents} cents"


office = Agent("office-by-pydantic-ai", budget=Budget(usd=1.0), signals=["approval"])


@office.step
async def settle(ctx: Context, bill: str) -> str:
    return str((await run(ctx, clerk, f"Settle this bill: {bill}")).output)


if __name__ == "__main__":
    task = submit(office, {"bill": "9 dollars for tea"})
    for event in task.events(follow=True, timeout=30):
        if event.type == "approval_asked":  # what is to be paid, and the digest of just that
            print(event.data["tool"], event.data["arguments"])
            task.signal("approval", {"call": event.data["call"], "approved": True})
    print(task.result(timeout=30))
