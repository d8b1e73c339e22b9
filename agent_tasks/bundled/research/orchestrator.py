"""The bundled agent `orchestrator`: a research whose report is published once somebody approves it."""

from agent_tasks import Agent
from agent_tasks.bundled.research import orchestration
from agent_tasks.bundled.research.documents import find_documents
from agent_tasks.bundled.research.publishing import remove, save

orchestrator = Agent(
    "orchestrator",
    goal="Answers a question from a folder of documents with a report, published once it is approved",
    tools=[find_documents, save, remove],
    budget=orchestration.BUDGET,
    signals=["approval"],
)
"""The agent; it ends completed if all its children completed, else partial, with a report of what there is."""

orchestrator.step(orchestration.plan)
orchestrator.step(orchestration.analyse)
orchestrator.step(orchestration.write)
orchestrator.step(orchestration.review)
orchestrator.step(orchestration.decide)
orchestrator.step(orchestration.publish, undo=orchestration.withdraw)
orchestrator.step(orchestration.finish)
