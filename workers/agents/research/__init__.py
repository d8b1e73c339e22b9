"""Answers a question from a folder of documents, with sources."""

from workers.agents.research.agent import research
from workers.agents.research.orchestration import orchestrator
from workers.agents.research.samples import SAMPLE_QUESTION, sample_documents

__all__ = ["SAMPLE_QUESTION", "orchestrator", "research", "sample_documents"]
