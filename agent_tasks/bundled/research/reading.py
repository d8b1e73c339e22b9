"""Reading one document for a question, keeping little enough of it to be recorded."""

from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from agent_tasks import AgentTaskError
from agent_tasks.bundled.research.documents import load
from agent_tasks.bundled.research.formats.blocks import clean
from agent_tasks.bundled.research.passages import split
from agent_tasks.bundled.research.question import concepts as concepts_of
from agent_tasks.bundled.research.question import stems
from agent_tasks.bundled.research.ranking import Corpus, frequencies, rank

KEPT = 6


class Reading(TypedDict):
    """A document's reading; `frequency` counts the passages with each concept, `unread` says why none was read."""

    passages: list[dict[str, Any]]
    scanned: int
    frequency: dict[str, int]
    unread: str | None


def read_document(root: str, name: str, question: str) -> Reading:
    """Return the passages of one document that matter for the question; a broken document is reported, not raised."""
    try:
        passages = split(load(Path(root, name)), name)
    except AgentTaskError:
        raise
    except OSError as error:
        return _unread(error.strerror or "unreadable")
    except Exception as error:  # a parser may raise anything for a broken file; the other files are still to be read
        return _unread(str(error) or type(error).__name__)
    concepts = concepts_of(question)
    frequency = frequencies((stems(passage.text) for passage in passages), concepts)
    best = rank(passages, concepts, Corpus(len(passages), frequency))[:KEPT]
    return {
        "passages": [passage.model_dump(mode="json") for passage in best],
        "scanned": len(passages),
        "frequency": frequency,
        "unread": None,
    }


def _unread(reason: str) -> Reading:
    return {"passages": [], "scanned": 0, "frequency": {}, "unread": clean(reason)[:200]}
