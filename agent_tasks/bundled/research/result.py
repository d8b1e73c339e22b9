"""The result of a research task, whole or not: report, sources, passages, counts, and the children's outcomes."""

from collections.abc import Sequence
from typing import Any

from agent_tasks import ChildOutcome, TaskStatus
from agent_tasks.bundled.research.analysis import Findings
from agent_tasks.bundled.research.search import Search


def make_result(
    search: Search, findings: Findings, report: str, team: Sequence[ChildOutcome], model: str | None = None
) -> dict[str, Any]:
    """Make the result; `path`, where the report is published, is still empty."""
    sources: dict[str, dict[str, Any]] = {}
    for number, passage in enumerate(findings.passages, 1):
        source = sources.setdefault(passage.path, {"path": passage.path, "title": passage.title, "passages": []})
        source["passages"].append(number)
    return {
        "report": report,
        "sources": list(sources.values()),
        "passages": [
            {"number": number, **passage.model_dump(mode="json"), "place": passage.place}
            for number, passage in enumerate(findings.passages, 1)
        ],
        "stats": {
            "documents": search.documents,
            "read": search.read,
            "unread": search.unread_count,
            "scanned": search.scanned,
            "quoted": len(findings.passages),
            "themes": len(findings.themes),
        },
        "children": [_described(child) for child in team],
        "model": model,
        "path": None,
    }


def shortfall(search: Search, team: Sequence[ChildOutcome]) -> str | None:
    """Return what is missing because children fell short, in words; None if all of them completed."""
    short: dict[str, list[ChildOutcome]] = {}
    for child in team:
        if child.status is not TaskStatus.COMPLETED:
            short.setdefault(f"{child.agent} ended as {child.status}", []).append(child)
    if not short:
        return None
    ends = "; ".join(f"{len(children)} {how}: {_why(children[0])}" for how, children in short.items())
    return f"Ended early: {search.seen} of {search.documents} documents had been read. {ends}."


def _described(child: ChildOutcome) -> dict[str, Any]:
    described = child.model_dump(mode="json", include={"agent", "status", "spent"})
    return described | {"task_id": str(child.task_id), "error": _why(child) if child.error else None}


def _why(child: ChildOutcome) -> str:
    """Return the first sentence of a child's error."""
    return child.error.message.partition(". ")[0][:200].rstrip(".") if child.error else "no reason was given"
