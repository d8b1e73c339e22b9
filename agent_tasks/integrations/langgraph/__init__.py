"""LangGraph in a step: its own checkpoints for what graphs have done, and the ledger for requests and tool calls.

model = recorded(init_chat_model("openai:gpt-5"))


@research.step
async def analyse(ctx: Context, question: str) -> str:
    state = await run(ctx, graph, {"messages": [("user", question)]})
    return state["messages"][-1].text
"""

from agent_tasks.integrations.approvals import Approval
from agent_tasks.integrations.current import missing

try:
    from agent_tasks.integrations.langgraph.graph import run
    from agent_tasks.integrations.langgraph.recorded import recorded
    from agent_tasks.integrations.langgraph.saver import prepare, prune
except ModuleNotFoundError as error:
    raise missing(error, ("langgraph", "langchain_core"), "langgraph") from None

__all__ = ["Approval", "prepare", "prune", "recorded", "run"]
