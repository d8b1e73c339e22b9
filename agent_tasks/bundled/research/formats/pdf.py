"""PDF into blocks: the text of each page, without running heads, page numbers and tables of contents."""

import io
import logging
import re
import unicodedata
from collections import Counter
from typing import Any

from agent_tasks.bundled.extras import optional
from agent_tasks.bundled.research.formats.blocks import Block, Document, Trail, clean, squeeze

MAX_PAGES = 500

_HEADING = re.compile(
    r"(?:Chapter\s+|Appendix\s+)?(\d{1,2}(?:\.\d{1,2}){0,3}|[A-Z](?:\.\d{1,2}){1,3})\.?\s+[A-Z][^.!?]{2,70}$"
)
_FOLIO = re.compile(r"(?:page\s*)?[\divxlc]{1,5}(?:\s*(?:/|of)\s*\d+)?$", re.IGNORECASE)
_LEADERS = re.compile(r"(?:\.\s?){4,}")
_PARAGRAPH_END = re.compile(r"[.!?:][\"')\]”’]*$")


def read(data: bytes, name: str) -> Document:
    """Read a PDF into blocks. Raises ValueError if it is no PDF, is broken or locked, or has no text (a scan)."""
    pypdf = optional("pypdf", "research")
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # otherwise it logs a line for each flaw of each file
    if b"%PDF-" not in data[:1024]:
        raise ValueError("not a PDF")
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise ValueError("locked with a password")
        title = squeeze(clean(str((reader.metadata or {}).get("/Title") or "")))
        pages = [_lines(page) for page, _ in zip(reader.pages, range(MAX_PAGES), strict=False)]
    except ValueError:
        raise
    except Exception as error:  # for broken files pypdf lets KeyError, RecursionError and others through
        raise ValueError(f"broken PDF: {error}" if str(error) else "broken PDF") from error
    if not any(map(any, pages)):
        raise ValueError("no text in it (a scan?)")
    opening = next((line for line in pages[0] if line), "")
    return Document(title or (opening if 4 <= len(opening) <= 90 else name), _blocks(_without_running_heads(pages)))


def _lines(page: Any) -> list[str]:
    text = unicodedata.normalize("NFKC", clean(page.extract_text() or ""))
    return [squeeze(line) for line in text.split("\n")]


def _without_running_heads(pages: list[list[str]]) -> list[list[str]]:
    """Drop first and last lines that recur, apart from their digits, on a third of the pages."""

    def edge(line: str) -> str:
        return re.sub(r"\d+", "#", line)

    seen = Counter(edge(line) for page in pages for line in {*page[:2], *page[-2:]} if line)
    running = {line for line, times in seen.items() if times >= max(3, len(pages) // 3)}
    return [[line for line in page if edge(line) not in running and not _FOLIO.match(line)] for page in pages]


def _blocks(pages: list[list[str]]) -> list[Block]:
    blocks: list[Block] = []
    trail = Trail()
    for number, lines in enumerate(pages, 1):
        gathered: list[str] = []
        longest = max((len(line) for line in lines), default=0)

        def flush(gathered: list[str] = gathered, number: int = number) -> None:
            text = re.sub(r"(?<=[a-z])-\n(?=[a-z])", "", "\n".join(gathered))
            if text := squeeze(text):
                blocks.append(Block(text, trail.headings, page=number))
            gathered.clear()

        for line in lines:
            heading = _HEADING.match(line)
            if not line or _LEADERS.search(line):
                flush()
            elif heading and len(line) < 0.9 * longest:
                flush()
                trail.enter(heading[1].count(".") + 1, line)
            else:
                gathered.append(line)
                # A last line well short of the measure ends its paragraph.
                if _PARAGRAPH_END.search(line) and len(line) < 0.75 * longest:
                    flush()
        flush()
    return blocks
