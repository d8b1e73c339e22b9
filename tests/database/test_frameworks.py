"""What every framework's agent in a step has in common: tools at once, and prices that nobody wrote down."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("agents")
pytest.importorskip("langgraph")
pytest.importorskip("pydantic_ai")

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatResult
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from agent_tasks import AgentTasks, Budget, Context
from agent_tasks.integrations import langgraph, openai_agents, pydantic_ai
from tests import agents_langgraph, agents_openai
from tests.agents_pydantic_ai import answer, returned
from tests.database import row_of, submitted
from tests.database.driving import driving, value_of

Meeting = Callable[[str], Any]
Step = Callable[[Context], Any]


def by_pydantic_ai(meet: Meeting) -> Step:
    async def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if seen := returned(messages):
            return answer(TextPart(" ".join(seen)))
        return answer(ToolCallPart("meet", {"who": "ann"}, "a"), ToolCallPart("meet", {"who": "bob"}, "b"))

    agent = PydanticAgent(
        FunctionModel(model), name="meeting", capabilities=[pydantic_ai.TaskDurability()], tools=[meet]
    )

    async def step(ctx: Context) -> str:
        return (await pydantic_ai.run(ctx, agent, "meet")).output

    return step


def by_openai_agents(meet: Meeting) -> Step:
    calls = [[agents_openai.call("meet", "a", who="ann"), agents_openai.call("meet", "b", who="bob")]]
    agent: Any = agents_openai.Framework(
        "meeting", model=agents_openai.Scripted("gpt-4o", calls), tools=[agents_openai.function_tool(meet)]
    )

    async def step(ctx: Context) -> str:
        return str((await openai_agents.run(ctx, agent, "meet")).final_output)

    return step


class Priced(agents_langgraph.Scripted):
    """A fake model whose answers say, as those of providers do, who gave them."""

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        result = super()._generate(*args, **kwargs)
        result.generations[0].message.response_metadata = {"model_name": "gpt-4o", "model_provider": "openai"}
        return result


def by_langgraph(meet: Meeting) -> Step:
    calls = [[agents_langgraph.call("meet", "a", who="ann"), agents_langgraph.call("meet", "b", who="bob")]]
    model = langgraph.recorded(Priced(turns=calls))

    async def ask(state: MessagesState) -> dict[str, list[AIMessage]]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_node("tools", ToolNode([langgraph.recorded(tool(meet))]))
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", tools_condition)
    graph.add_edge("tools", "ask")

    async def step(ctx: Context) -> str:
        state = await langgraph.run(ctx, graph, {"messages": [("user", "meet")]})
        return state["messages"][-1].content

    return step


BY = {"pydantic-ai": by_pydantic_ai, "openai-agents": by_openai_agents, "langgraph": by_langgraph}


@pytest.mark.parametrize("framework", BY)
def test_tools_that_a_model_calls_at_once_run_at_once(framework: str, client: AgentTasks) -> None:
    pytest.importorskip("genai_prices")
    here: set[str] = set()
    both = asyncio.Event()

    async def meet(who: str) -> str:
        """Wait until both are here."""
        here.add(who)
        if len(here) == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 30)
        return who

    task_id = submitted(client, budget=Budget(usd=1.0))
    with driving(client) as driver:
        said = value_of(driver.run(task_id, BY[framework](meet)))
    assert sorted(said.replace(",", "").split()) == ["ann", "bob"]
    row = row_of(client, task_id)
    assert row["spent_tokens"] == 24
    assert (row["spent_usd"] > 0) == (framework != "pydantic-ai"), "its own fake costs nothing, gpt-4o does"
