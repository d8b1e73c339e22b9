"""The bundled agent `research`: a report from documents, published without approval."""

from agent_tasks import Agent, FanOut, SyncContext
from agent_tasks.bundled.research import orchestration
from agent_tasks.bundled.research.documents import find_documents
from agent_tasks.bundled.research.orchestration import MaxPassages, Paths, Question
from agent_tasks.bundled.research.publishing import remove, save

research = Agent(
    "research",
    goal="Answers a question from a folder of documents with a report that cites its sources",
    tools=[find_documents, save, remove],
    budget=orchestration.BUDGET,
)


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
