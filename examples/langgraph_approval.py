"""A graph of LangGraph that pays once a person has approved it: offline, with a fake model."""

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import StructuredTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from agent_tasks import Agent, Budget, Context, submit
from agent_tasks.integrations.langgraph import recorded, run


class Fake(BaseChatModel):
    @property
    def _llm_type(self) -> str:
        return "fake"

    def _generate(self, messages: Sequence[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        paid = [message.text for message in messages if isinstance(message, ToolMessage)]
        asks = AIMessage("", tool_calls=[{"name": "pay", "args": {"cents": 900}, "id": "1"}])
        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"Done: {paid[0]}") if paid else asks)])


def pay(cents: int) -> str:
    """Pay so many cents."""
    return f"paid {cents} cents"


model = recorded(Fake())
paying = recorded(StructuredTool.from_function(pay), approval=True, at_most_once=True)


async def ask(state: MessagesState) -> dict[str, list[AIMessage]]:
    return {"messages": [await model.ainvoke(state["messages"])]}


clerk: Any = StateGraph(MessagesState)  # not all of its methods' types are known
clerk.add_node("ask", ask)
clerk.add_node("tools", ToolNode([paying]))
clerk.add_edge(START, "ask")
clerk.add_conditional_edges("ask", tools_condition)
clerk.add_edge("tools", "ask")

office = Agent("office-by-langgraph", budget=Budget(usd=1.0), signals=["approval"])


@office.step
async def settle(ctx: Context, bill: str) -> str:
    state = await run(ctx, clerk, {"messages": [("user", f"Settle this bill: {bill}")]})
    return str(state["messages"][-1].text)


if __name__ == "__main__":
    task = submit(office, {"bill": "9 dollars for tea"})
    for event in task.events(follow=True, timeout=30):
        if event.type == "approval_asked":  # what is to be paid, and the digest of just that
            print(event.data["tool"], event.data["arguments"])
            task.signal("approval", {"call": event.data["call"], "approved": True})
    print(task.result(timeout=30))
