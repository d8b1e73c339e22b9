"""The orchestrator's children: readers of documents, an analyst of passages, a writer of reports."""

import os
from typing import Any

from agent_tasks import Agent, Context, Done, Next, Retry, SyncContext
from agent_tasks.bundled.asking import Answer
from agent_tasks.bundled.research.analysis import Findings, analyse
from agent_tasks.bundled.research.question import concepts
from agent_tasks.bundled.research.reading import read_document
from agent_tasks.bundled.research.report import write_report
from agent_tasks.bundled.research.search import Search
from agent_tasks.bundled.research.synthesis import Synthesis, synthesise

BATCH = 8
"""Documents read per step: the most that a crash could cost, were they not recorded one by one."""

reader = Agent("research-reader", goal="Reads documents for a question", tools=[read_document])
"""The reader reads its share of the documents, and ends with a Search that holds their best passages."""

analyst = Agent("research-analyst", goal="Finds what passages say together", tools=[])
"""The analyst ends with Findings: what the chosen passages say together."""

writer = Agent("research-writer", goal="Writes a report of the findings", tools=["ask"])
"""The writer ends with `report`, and the `model` that wrote it, if one did."""


@reader.step
def read(ctx: SyncContext, search: Search, files: list[str]) -> Next | Done:
    """Read the next batch of `files`; each document is a recorded call, so that none is read twice."""
    try:
        for name in files[search.seen : search.seen + BATCH]:
            ctx.check_cancelled()
            reading = ctx.call(read_document, search.root, name, search.question)
            search.note(name, reading)
            if reading["unread"] is not None:
                ctx.emit("unread", {"path": name, "reason": reading["unread"]})
            ctx.progress(search.seen, len(files), f"Read {name}")
    finally:  # out of calls or time within a batch: what was read so far is still of use
        search.shrink()
        ctx.partial(search.state())
    return Done(search.state()) if search.seen == len(files) else Next("read", search=search.state(), files=files)


@analyst.step(name="analyse")
def analyse_passages(ctx: SyncContext, search: Search) -> Done:
    """Find the key sentences, themes, agreements and gaps in the passages of the pool."""
    findings = analyse(search.question, search.pool, concepts(search.question), search.corpus)
    return Done(findings.model_dump(mode="json"))


@writer.step(retry=Retry(attempts=3))
async def write(ctx: Context, search: Search, findings: Findings, note: str | None = None) -> Done:
    """Write the report, with the model that AGENT_TASKS_MODEL names or, without one, by quoting.

    `note` is to be added to the method.
    """
    model = os.environ.get("AGENT_TASKS_MODEL", "").strip()
    synthesis: Synthesis | None = None
    notes = [note] if note else []
    if model and findings.passages:
        passages = [passage.model_dump(mode="json", include={"text", "title"}) for passage in findings.passages]

        async def ask(model: str, question: str, passages: list[dict[str, Any]]) -> Answer:
            answer = await synthesise(model, question, passages)
            # Within the call, since a repeated step gets back the record, which has been paid for.
            await ctx.charge(tokens=answer["tokens"], usd=answer["usd"])
            return answer

        answer = await ctx.call(ask, model, search.question, passages)
        if answer["written"] is not None:
            synthesis = Synthesis(**answer["written"], model=model)
        else:
            notes.append(f"`{model}` gave no answer that could be used ({answer['problem']}), so none is shown.")
    report = write_report(search, findings, synthesis, " ".join(notes) or None)
    return Done({"report": report, "model": synthesis.model if synthesis else None})
