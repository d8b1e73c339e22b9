"""The report in Markdown: answer, findings by theme, agreement, gaps, sources and method."""

import re
from collections.abc import Iterator

from agent_tasks.bundled.research.analysis import Findings, Quote
from agent_tasks.bundled.research.passages import Passage
from agent_tasks.bundled.research.question import concepts
from agent_tasks.bundled.research.search import Search
from agent_tasks.bundled.research.synthesis import Synthesis

_CODE_SPAN = re.compile(r"(`[^`\n]*`)")
_ACTIVE = re.compile(r"[<*\[\]~\\]|(?<![^\W_])_|_(?![^\W_])")
_LINE_START = re.compile(r"(\d*)(#{1,6} |>|[.)] |=+$|-{2,}$|\+ )")


def write_report(
    search: Search, findings: Findings, synthesis: Synthesis | None = None, method_note: str | None = None
) -> str:
    """Write the report; a model's `synthesis` replaces the extracted answer, `method_note` says why there is none."""
    parts = [f"# {escape(search.question.strip())}", _summary(search, findings, synthesis)]
    if not findings.passages:
        parts += ["## Answer", _nothing_found(search)]
    elif synthesis is None:
        parts += ["## Short answer", *_answer(findings), "## Findings", *_findings(findings)]
        parts += ["## What the sources agree on", *_agreements(findings)]
    else:
        parts += ["## Short answer", synthesis.answer, "## Findings"]
        for section in synthesis.findings:
            parts += [f"### {escape(section.title)}", section.text]
        parts += ["## What the sources agree on", synthesis.agreement]
    gaps = [synthesis.gaps] if synthesis else [f"- {escape(gap)}" for gap in findings.gaps]
    if findings.passages:
        parts += [
            "## What is not covered",
            "\n".join(gaps) or "- Every word of the question is covered by a passage.",
        ]
    if synthesis:
        parts += ["## Passages", *_findings(findings)]
    if findings.passages:
        parts += ["## Sources", _sources(findings)]
    if search.unread:
        parts += ["## Not read", _unread(search)]
    parts += ["## Method", _method(search, findings, synthesis, method_note)]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """Return text as Markdown that shows it as it is; code spans stay code spans."""
    pieces = _CODE_SPAN.split(text)
    pieces[::2] = [_ACTIVE.sub(lambda m: "&lt;" if m[0] == "<" else f"\\{m[0]}", piece) for piece in pieces[::2]]
    return "".join(pieces)


def _line(text: str) -> str:
    """Escape a line of its own, so that it is no heading, quotation or list number either."""
    start = _LINE_START.match(text)
    return escape(text) if start is None else f"{start[1]}\\{escape(text[start.end(1) :])}"


def _summary(search: Search, findings: Findings, synthesis: Synthesis | None) -> str:
    sources = len({passage.path for passage in findings.passages})
    how = f"written by `{synthesis.model}`" if synthesis else "extractive"
    read = _plural(search.read, "document")
    quoted = f"{_plural(len(findings.passages), 'passage')} from {_plural(sources, 'source')}"
    return f"*{quoted} · {read} read · {how}*"


def _answer(findings: Findings) -> Iterator[str]:
    quotes = findings.answer or [Quote(text=findings.passages[0].text, passage=1)]
    yield "\n".join(f"- “{escape(quote.text)}” [{quote.passage}]" for quote in quotes)


def _findings(findings: Findings) -> Iterator[str]:
    for theme in findings.themes:
        yield f"### {theme.title}"
        for number in theme.passages:
            passage = findings.passages[number - 1]
            quoted = "\n".join(f"> {_line(line)}".rstrip() for line in passage.text.split("\n"))
            yield f"{quoted}\n>\n> — **[{number}]** {_reference(passage)}"


def _reference(passage: Passage) -> str:
    title = "" if passage.title == passage.path else f"*{escape(passage.title)}*, "
    place = f", {escape(passage.place)}" if passage.place else ""
    return f"{title}`{_file(passage.path)}`{place}"


def _file(path: str) -> str:
    """Return a path as shown, without what precedes installed packages, which tells a reader nothing."""
    return path.rpartition("site-packages/")[2].replace("`", "'").replace("|", "¦")


def _agreements(findings: Findings) -> Iterator[str]:
    if not findings.agreements:
        sources = len({passage.path for passage in findings.passages})
        yield ("- No two sources say the same thing in like words." if sources > 1 else "- There is one source only.")
        return
    lines: list[str] = []
    for agreement in findings.agreements:
        quotes = " and ".join(f"“{escape(quote.text)}” [{quote.passage}]" for quote in agreement.quotes)
        lines.append(f"- On {', '.join(agreement.terms)}: {quotes}")
    yield "\n".join(lines)


def _sources(findings: Findings) -> str:
    numbers: dict[str, list[int]] = {}
    titles = {passage.path: passage.title for passage in findings.passages}
    for number, passage in enumerate(findings.passages, 1):
        numbers.setdefault(passage.path, []).append(number)
    rows = ["| Document | File | Passages |", "| --- | --- | --- |"]
    for path, used in numbers.items():
        cited = ", ".join(f"[{number}]" for number in used)
        rows.append(f"| {escape(titles[path]).replace('|', chr(92) + '|')} | `{_file(path)}` | {cited} |")
    return "\n".join(rows)


def _unread(search: Search) -> str:
    lines = [f"- `{_file(entry['path'])}`: {escape(entry['reason'])}" for entry in search.unread]
    if (more := search.unread_count - len(search.unread)) > 0:
        lines.append(f"- and {more} more")
    return "\n".join(lines)


def _method(search: Search, findings: Findings, synthesis: Synthesis | None, note: str | None) -> str:
    where = f" under `{search.root}`" if search.root != "/" else ""
    text = (
        f"Read {_plural(search.read, 'document')}{where}, {_plural(search.scanned, 'passage')} in all; "
        "ranked them with BM25 over text and headings and by how much of the question each covers; "
        "left out near duplicates. "
    )
    if synthesis:
        text += f"Answer, findings, agreement and gaps were written by `{synthesis.model}` from these passages."
    else:
        text += "Extractive: answer, findings and agreement are quoted as they stand; no model wrote."
    return f"{text} {note}" if note else text


def _nothing_found(search: Search) -> str:
    words = [f"“{concept.word}”" for concept in concepts(search.question) if not search.frequency.get(concept.stem)]
    missing = f"None speaks of {' or '.join(words)}. " if words else ""
    return (
        f"Nothing in the {_plural(search.scanned, 'passage')} read answers this question. {missing}"
        "Ask in the words of the documents, or give other paths."
    )


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
