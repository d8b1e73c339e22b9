"""The research agent: collect, read in batches, rank, analyse, write; each a durable step."""

import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from agent_tasks import Agent, Budget, Context, Done, InvalidInput, Next, Retry, SyncContext
from workers.agents.research.analysis import Findings, analyse
from workers.agents.research.documents import find_documents
from workers.agents.research.formats.blocks import clean, squeeze
from workers.agents.research.question import concepts
from workers.agents.research.reading import read_document
from workers.agents.research.report import write_report
from workers.agents.research.search import Search
from workers.agents.research.synthesis import Outcome, Synthesis, synthesise

BATCH = 8
"""Documents read per step: what a crash can cost at most, were they not recorded one by one."""
LAST_STEPS = 3

research = Agent("research", budget=Budget(seconds=600, tokens=200_000, usd=2.0))


@research.step
def collect(
    ctx: SyncContext,
    paths: Annotated[list[str], Field(min_length=1, max_length=1000)],
    question: Annotated[str, Field(min_length=3, max_length=1000)],
    max_passages: Annotated[int, Field(ge=1, le=40)] = 12,
    output: str | None = None,
) -> Next:
    """Find the documents under `paths`; `output` is where to write the report as well."""
    question = squeeze(clean(question))
    if not concepts(question):
        raise InvalidInput("The question has no words to look for", field="question", value=question)
    found = ctx.call(find_documents, paths)
    search = Search(
        question=question,
        root=found["root"],
        files=found["files"],
        max_passages=max_passages,
        output=_writable(output) if output else None,
    )
    for skipped in found["skipped"]:
        search.leave_out(skipped)
    search.left_out = search.unread_count
    ctx.progress(0, len(search.files) + LAST_STEPS, f"Found {len(search.files)} documents")
    return Next(read, search=search.state())


@research.step
def read(ctx: SyncContext, search: Search) -> Next:
    """Read the next batch; each document is a recorded call, so that none is read twice."""
    total = len(search.files) + LAST_STEPS
    for name in search.files[search.cursor : search.cursor + BATCH]:
        reading = ctx.call(read_document, search.root, name, search.question)
        search.note(name, reading)
        if reading["unread"] is not None:
            ctx.emit("unread", {"path": name, "reason": reading["unread"]})
        ctx.progress(search.cursor, total, f"Read {name}")
    if search.cursor == len(search.files) and not search.read:
        raise InvalidInput(
            f"None of the {len(search.files)} documents can be read",
            field="paths",
            skipped=[dict(entry) for entry in search.unread[:20]],
        )
    search.shrink()
    ctx.partial(_so_far(search))
    return Next(read if search.cursor < len(search.files) else rank, search=search.state())


@research.step
def rank(ctx: SyncContext, search: Search) -> Next:
    """Choose the passages to quote."""
    search.pool = search.chosen()
    ctx.progress(len(search.files) + 1, len(search.files) + LAST_STEPS, f"Chose {len(search.pool)} passages")
    return Next(analyse_passages, search=search.state())


@research.step(name="analyse")
def analyse_passages(ctx: SyncContext, search: Search) -> Next:
    """Key sentences, themes, agreements, gaps."""
    findings = analyse(search.question, search.pool, concepts(search.question), search.corpus)
    search.pool = []
    ctx.partial(_result(search, findings, write_report(search, findings)))
    ctx.progress(len(search.files) + 2, len(search.files) + LAST_STEPS, f"Found {len(findings.themes)} themes")
    return Next(write, search=search.state(), findings=findings.model_dump(mode="json"))


@research.step(retry=Retry(attempts=3))
async def write(ctx: Context, search: Search, findings: Findings) -> Done:
    """Write the report, with the model that AGENT_TASKS_MODEL names or, without one, by quoting."""
    model = os.environ.get("AGENT_TASKS_MODEL", "").strip()
    synthesis: Synthesis | None = None
    note: str | None = None
    if model and findings.passages:
        passages = [passage.model_dump(mode="json", include={"text", "title"}) for passage in findings.passages]

        async def ask(model: str, question: str, passages: list[dict[str, Any]]) -> Outcome:
            outcome = await synthesise(model, question, passages)
            # Within the call: a repeated step gets the record back, and that has been paid for.
            await ctx.charge(tokens=outcome["tokens"], usd=outcome["usd"])
            return outcome

        outcome = await ctx.call(ask, model, search.question, passages)
        if outcome["written"] is not None:
            synthesis = Synthesis(**outcome["written"], model=model)
        else:
            note = f"`{model}` gave no answer that could be used ({outcome['problem']}), so none is shown."
    report = write_report(search, findings, synthesis, note)
    if search.output:
        await ctx.call(save, search.output, report)
    total = len(search.files) + LAST_STEPS
    await ctx.progress(total, total, "Report written")
    return Done(_result(search, findings, report, model if synthesis else None))


async def save(path: str, report: str) -> str:
    """Write the report in one move: a reader sees the old file or the new one. Raises InvalidInput."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=target.parent, delete=False, encoding="utf-8") as file:
            file.write(report)
        os.chmod(file.name, 0o644)
        os.replace(file.name, target)
    except OSError as error:
        raise InvalidInput(f"The report cannot be written: {error}", field="output", value=path) from error
    return path


def _writable(output: str) -> str:
    path = Path(os.path.expanduser(output)).absolute()
    blocked = os.path.exists(path.parent) and not os.access(path.parent, os.W_OK)
    if "\x00" in output or os.path.isdir(path) or blocked:
        raise InvalidInput(f"No report can be written to {output!r}", field="output", value=clean(output))
    return str(path)


def _so_far(search: Search) -> dict[str, Any]:
    findings = analyse(search.question, search.chosen(), concepts(search.question), search.corpus)
    note = f"Ended early: {search.cursor} of {len(search.files)} documents had been read."
    return _result(search, findings, write_report(search, findings, method_note=note))


def _result(search: Search, findings: Findings, report: str, model: str | None = None) -> dict[str, Any]:
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
            "documents": len(search.files),
            "read": search.read,
            "unread": search.unread_count,
            "scanned": search.scanned,
            "quoted": len(findings.passages),
            "themes": len(findings.themes),
        },
        "model": model,
        "path": search.output,
    }
