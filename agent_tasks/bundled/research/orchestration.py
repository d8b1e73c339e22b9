"""The steps of a research: readers, an analyst and a writer as children, then an approval if one is asked for.

plan → (readers) → analyse → (analyst) → write → (writer) → review → [approval → decide] → publish → finish
"""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, Field

from agent_tasks import (
    Budget,
    Child,
    ChildOutcome,
    Done,
    FanOut,
    InvalidInput,
    Next,
    Partial,
    Signal,
    SyncContext,
    Wait,
)
from agent_tasks.bundled.research.analysis import Findings
from agent_tasks.bundled.research.documents import find_documents
from agent_tasks.bundled.research.formats.blocks import clean, squeeze
from agent_tasks.bundled.research.publishing import remove, save, writable
from agent_tasks.bundled.research.question import concepts
from agent_tasks.bundled.research.report import write_report
from agent_tasks.bundled.research.result import make_result, shortfall
from agent_tasks.bundled.research.search import Search
from agent_tasks.bundled.research.specialists import BATCH, analyst, reader, writer
from agent_tasks.errors import from_info
from agent_tasks.task.budget import Remaining

READERS = 4
LAST_STEPS = 3
APPROVAL_SECONDS = timedelta(days=2).total_seconds()

Paths = Annotated[list[str], Field(min_length=1, max_length=1000)]
Question = Annotated[str, Field(min_length=3, max_length=1000)]
MaxPassages = Annotated[int, Field(ge=1, le=40)]
Seconds = Annotated[float, Field(gt=0, le=366 * 86_400)]

BUDGET = Budget(seconds=600, tokens=200_000, usd=2.0)


class Approval(BaseModel):
    """The payload of the signal `approval`."""

    ok: bool
    note: Annotated[str, Field(max_length=1000)] | None = None


def plan(
    ctx: SyncContext,
    paths: Paths,
    question: Question,
    max_passages: MaxPassages = 12,
    output: str | None = None,
    approve: bool = False,
    approval_seconds: Seconds = APPROVAL_SECONDS,
) -> FanOut:
    """Find the documents under `paths` and share them out to readers.

    `output` is where to publish the report; with `approve`, only once the signal `approval` allows it, which may take
    `approval_seconds`.
    """
    question = squeeze(clean(question))
    if not concepts(question):
        raise InvalidInput("The question has no words to look for", field="question", value=question)
    output = writable(output) if output else None
    found = ctx.call(find_documents, paths)
    files = found["files"]
    search = Search(question=question, root=found["root"], documents=len(files), max_passages=max_passages)
    part = search.model_copy()
    for skipped in found["skipped"]:
        search.leave_out(skipped)
    search.left_out = search.unread_count
    reserve = _reserve(ctx.budget, seconds=0.4, steps=8, calls=4)
    readers = _readers(len(files), ctx.budget, reserve)
    shares = [files[at::readers] for at in range(readers)]
    ctx.progress(0, len(files) + LAST_STEPS, f"Found {len(files)} documents; {readers} readers read them")
    return FanOut(
        [
            Child(
                reader,
                {"search": part.model_copy(update={"documents": len(share)}).state(), "files": share},
                weight=len(share),
            )
            for share in shares
        ],
        then=analyse,
        reserve=reserve,
        split="adaptive",
        search=search.state(),
        output=output,
        patience=approval_seconds if approve else None,
    )


def analyse(
    ctx: SyncContext, search: Search, output: str | None, patience: float | None, children: list[ChildOutcome]
) -> FanOut:
    """Join what the readers found, choose the passages to quote, and have them analysed."""
    for child in children:
        if child.result is not None:
            search.join(Search.model_validate(child.result))
    if not search.read:
        raise _nothing_read(search, children)
    search.shrink()
    search.pool = search.chosen()
    team = _named(children)
    findings = Findings.unsorted(search.pool)
    report = write_report(search, findings, method_note=shortfall(search, team))
    ctx.partial(make_result(search, findings, report, team))
    ctx.progress(search.seen, search.documents + LAST_STEPS, f"Chose {len(search.pool)} passages to analyse")
    return FanOut(
        [Child(analyst, {"search": search.state()})],
        then=write,
        reserve=_reserve(ctx.budget, seconds=0.7, steps=6, calls=4),
        search=search.state(),
        team=_state(team),
        output=output,
        patience=patience,
    )


def write(
    ctx: SyncContext,
    search: Search,
    team: list[ChildOutcome],
    output: str | None,
    patience: float | None,
    children: list[ChildOutcome],
) -> FanOut:
    """Have the report written; without an analysis, from the passages as they are."""
    analysis = children[0].result
    findings = Findings.unsorted(search.pool) if analysis is None else Findings.model_validate(analysis)
    search.pool = []
    team += _named(children)
    note = shortfall(search, team)
    ctx.partial(make_result(search, findings, write_report(search, findings, method_note=note), team))
    ctx.progress(search.seen + 1, search.documents + LAST_STEPS, f"Found {len(findings.themes)} themes")
    searched, found = search.state(), findings.model_dump(mode="json")
    return FanOut(
        [Child(writer, {"search": searched, "findings": found, "note": note})],
        then=review,
        reserve=_reserve(ctx.budget, seconds=0.1, steps=4, calls=1),
        search=searched,
        findings=found,
        team=_state(team),
        output=output,
        patience=patience,
    )


def review(
    ctx: SyncContext,
    search: Search,
    findings: Findings,
    team: list[ChildOutcome],
    output: str | None,
    patience: float | None,
    children: list[ChildOutcome],
) -> Next | Wait:
    """Take the writer's report, or write one without a model if there is none, and ask for approval if wanted."""
    written: dict[str, Any] | None = children[0].result
    team += _named(children)
    missing = shortfall(search, team)
    if written is None:
        written = {"report": write_report(search, findings, method_note=missing), "model": None}
    result = make_result(search, findings, written["report"], team, written["model"])
    ctx.partial(result)
    ctx.progress(search.seen + 2, search.documents + LAST_STEPS, "Report written")
    report: dict[str, Any] = {"result": result, "missing": missing, "output": output}
    return Next(publish, **report) if patience is None else Wait("approval", then=decide, timeout=patience, **report)


def decide(
    ctx: SyncContext,
    result: dict[str, Any],
    missing: str | None,
    output: str | None,
    signal: Signal[Approval] | None,
) -> Next | Partial:
    """Publish the report if it was approved; otherwise end here, unpublished."""
    if signal is None or signal.payload is None:
        return Partial(result, "Nobody approved the report in time; it was not published.")
    by = f" by {signal.sender.subject}" if signal.sender else ""
    if not signal.payload.ok:
        why = f": {signal.payload.note}" if signal.payload.note else ""
        return Partial(result, f"The report was refused{by}{why}; it was not published.")
    return Next(publish, result=result, missing=missing, output=output)


def withdraw(ctx: SyncContext, result: dict[str, Any]) -> None:
    """Remove the published file, since the task ends without reporting that it is there."""
    if result["path"]:
        ctx.call(remove, result["path"], result["report"])


def publish(ctx: SyncContext, result: dict[str, Any], missing: str | None, output: str | None) -> Next:
    """Write the report's file, if one was asked for."""
    result["path"] = ctx.call(save, output, result["report"]) if output else None
    return Next(finish, result=result, missing=missing)


def finish(ctx: SyncContext, result: dict[str, Any], missing: str | None) -> Done | Partial:
    """End the task: completed only if all children completed."""
    total = result["stats"]["documents"] + LAST_STEPS
    ctx.progress(total, total, "Published" if result["path"] else "Done")
    return Done(result) if missing is None else Partial(result, missing)


def _reserve(left: Remaining, *, seconds: float, steps: int, calls: int) -> Budget:
    """Return what is kept from the children: part of the time, and the steps and calls that follow (at most half).

    Tokens and usd are not reserved: what children leave of them comes back.
    """
    return Budget(
        seconds=left.seconds * seconds if left.seconds else None,
        steps=_at_most_half(left.steps, steps),
        calls=_at_most_half(left.calls, calls),
    )


def _at_most_half(left: int | None, wanted: int) -> int | None:
    return None if left is None else min(wanted, left // 2) or None


def _readers(documents: int, left: Remaining, reserve: Budget) -> int:
    """Return the number of readers: as many as have a batch to read and enough of each resource to begin."""
    readers = min(READERS, -(-documents // BATCH))
    for name in ("tokens", "steps", "calls"):
        if (amount := getattr(left, name)) is not None:
            readers = min(readers, (amount - (getattr(reserve, name) or 0)) // 2)
    return max(readers, 1)


def _named(children: list[ChildOutcome]) -> list[ChildOutcome]:
    """Return the outcomes without their results: enough to report on, and small enough to carry along."""
    return [child.model_copy(update={"result": None}) for child in children]


def _state(team: list[ChildOutcome]) -> list[dict[str, Any]]:
    return [child.model_dump(mode="json") for child in team]


def _nothing_read(search: Search, readers: list[ChildOutcome]) -> Exception:
    """Return the error of the first reader that fell short; if none did, the documents are to blame."""
    for child in readers:
        if child.error is not None:
            return from_info(child.error)
    return InvalidInput(
        f"None of the {search.documents} documents can be read",
        field="paths",
        skipped=[dict(entry) for entry in search.unread[:20]],
    )
