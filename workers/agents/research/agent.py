"""The research agent: a report from documents, by the orchestrator's steps, published without asking anybody."""

from agent_tasks import Agent, FanOut, SyncContext
from workers.agents.research import orchestration
from workers.agents.research.orchestration import MaxPassages, Paths, Question

research = Agent("research", budget=orchestration.orchestrator.budget)


@research.step
def plan(
    ctx: SyncContext, paths: Paths, question: Question, max_passages: MaxPassages = 12, output: str | None = None
) -> FanOut:
    """Find the documents under `paths`; `output` is where to write the report as well."""
    return orchestration.plan(ctx, paths, question, max_passages, output)


research.step(orchestration.analyse)
research.step(orchestration.write)
research.step(orchestration.review)
research.step(orchestration.publish, undo=orchestration.withdraw)
research.step(orchestration.finish)
