"""Graphs of LangGraph in steps, offline: their models and tools note in a file what they did."""

import asyncio
from typing import Annotated, Any, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt
from pydantic import Field

from agent_tasks import Agent, Budget, Context
from agent_tasks.integrations.langgraph import recorded, run
from tests.agents_pydantic_ai import USD, did, done


class Scripted(BaseChatModel):
    """A fake model: what it answers follows from the outputs of tools that it is given."""

    name: str = "request"
    turns: list[list[dict[str, Any]]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=[each.name for each in tools], **kwargs)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        seen = [str(message.content) for message in messages if isinstance(message, ToolMessage)]
        did(f"{self.name} {len(seen)}")
        turn = next((calls for n, calls in enumerate(self.turns) if sum(map(len, self.turns[:n])) == len(seen)), [])
        calls = [{**call, "type": "tool_call"} for call in turn]
        usage = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
        answer = AIMessage("" if turn else ", ".join(sorted(seen)), tool_calls=calls, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=answer)])


def call(tool: str, id: str, **arguments: Any) -> dict[str, Any]:
    return {"name": tool, "args": arguments, "id": id}


def price(usage: Any, model: str) -> float:
    return USD


@tool
async def look(at: str) -> str:
    """Look at a city."""
    did(f"look {at}")
    await asyncio.sleep(0.01)
    return at.upper()


@tool
def pay(cents: int) -> str:
    """Pay so many cents."""
    did(f"pay {cents}")
    return f"paid {cents}"


def agent(model: Any, tools: list[Any], **options: Any) -> Any:
    """A model that is given tools until it asks for none."""
    asking = recorded(model, price=price, reserve=Budget(usd=USD)).bind_tools(tools)

    async def ask(state: MessagesState) -> dict[str, Any]:
        done.append("node")
        return {"messages": [await asking.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_node("tools", ToolNode([recorded(each, **options) for each in tools]))
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", tools_condition)
    graph.add_edge("tools", "ask")
    return graph


LOOKS = [[call("look", "a", at="Rome"), call("look", "b", at="Oslo")], [call("look", "c", at="Bonn")]]
PAYS = [[call("pay", "one", cents=900), call("pay", "two", cents=5)]]
watcher = agent(Scripted(turns=LOOKS), [look])
payer = agent(Scripted(name="ask", turns=PAYS), [pay], approval=True, at_most_once=True).compile()

watching = Agent("langgraph-watcher", budget=Budget(usd=1.0))
paying = Agent("langgraph-payer", budget=Budget(usd=1.0), signals=["approval"])
counting = Agent("langgraph-counter", budget=Budget(usd=1.0), signals=["approval"])


@watching.step
async def watch(ctx: Context) -> dict[str, Any]:
    state = await run(ctx, watcher, {"messages": [("user", "look around")]})
    asked = [message for message in state["messages"] if isinstance(message, AIMessage)]
    return {"output": asked[-1].content, "requests": len(asked)}


@paying.step
async def spend(ctx: Context) -> str:
    state = await run(ctx, payer, {"messages": [("user", "pay them")]}, timeout=3600)
    return state["messages"][-1].content


class Seen(TypedDict):
    seen: Annotated[list[str], lambda before, more: before + more]


def _node(name: str) -> Any:
    async def node(state: Seen) -> Seen:
        did(name)
        return {"seen": [name]}

    return node


async def _questions(state: Seen) -> Seen:
    did("asks")
    first = interrupt("first?")
    second = interrupt("second?")
    return {"seen": [f"{first} {second}"]}


counted = StateGraph(Seen)
for name in ("one", "two", "three"):
    counted.add_node(name, _node(name))
counted.add_node("questions", _questions)
for start, end in (
    (START, "one"),
    ("one", "two"),
    ("one", "three"),
    ("two", "questions"),
    ("questions", END),
):
    counted.add_edge(start, end)


@counting.step
async def count(ctx: Context) -> list[str]:
    return (await run(ctx, counted, {"seen": []}))["seen"]
