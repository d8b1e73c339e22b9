"""HTML into blocks: the main text, without navigation, asides, forms, scripts and code listings."""

import re
from typing import Any

from agent_tasks.bundled.extras import optional
from agent_tasks.bundled.research.formats.blocks import Block, Document, Trail, clean, squeeze

_DROPPED_NAMES = """
script style noscript template svg math nav header footer aside form button select iframe pre figure object
"""
_FURNITURE = re.compile(
    r"(?:^|[\s_-])(?:toc|nav|navbar|navigation|menu|sidebar|breadcrumbs?|footer|cookies?|banner|headerlink|"
    r"pagination|skip|share|social|advert\w*)(?:$|[\s_-])",
    re.IGNORECASE,
)
_BLOCK_NAMES = """
address article blockquote body center dd details div dl dt fieldset h1 h2 h3 h4 h5 h6 hr li main ol p
section summary table tbody td tfoot th thead tr ul html
"""
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_DROPPED = _DROPPED_NAMES.split()
_MOSTLY_LINKS = 0.6


def read(text: str, name: str) -> Document:
    """Read HTML into blocks. Raises ValueError if the document is nested too deeply to be walked."""
    soup = optional("bs4", "research").BeautifulSoup(text, "html.parser")
    heading = soup.find("h1")
    title = squeeze(clean(soup.title.get_text())) if soup.title else ""
    title = title or (squeeze(clean(heading.get_text())) if heading else "") or name
    for element in soup.find_all(_DROPPED):
        element.decompose()
    for element in soup.find_all(_is_furniture):
        if not element.decomposed:
            element.decompose()
    walk = _Walk()
    try:
        walk.element(soup.find("main") or soup.find("article") or soup.body or soup)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    walk.flush()
    return Document(title, walk.blocks)


def _is_furniture(element: Any) -> bool:
    if element.name in ("html", "body", "main", "article"):
        return False
    named = " ".join([*(element.get("class") or []), element.get("id") or ""])
    return element.get("role") in ("navigation", "search", "banner") or _FURNITURE.search(named) is not None


class _Walk:
    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._trail = Trail()
        self._text: list[str] = []
        self._linked = 0
        self._line: int | None = None
        self._items = 0
        self._cells: list[str] | None = None

    def element(self, element: Any) -> None:
        block = element.name in _BLOCKS
        if block:
            self.flush()
            self._line = element.sourceline
        if element.name == "tr":
            self._cells = []
        self._items += element.name in ("li", "dd")
        linked = element.name == "a"
        code = element.name in ("code", "kbd", "tt", "samp")
        if code:
            self._text.append(f"`{squeeze(clean(element.get_text())).replace('`', '')}`")
        else:
            before = sum(map(len, self._text)) if linked else 0
            for child in element.children:
                if child.name is not None:
                    self.element(child)
                elif type(child).__name__ == "NavigableString":  # not a comment, doctype or CDATA
                    self._text.append(clean(str(child)))
            if linked:
                self._linked += max(sum(map(len, self._text)) - before, 0)
        if element.name == "br":
            self._text.append(" ")
        if element.name in ("h1", "h2", "h3", "h4", "h5", "h6"):
            self._trail.enter(int(element.name[1]), squeeze("".join(self._text)).strip("¶§# "))
            self._text.clear()
        elif block:
            self.flush()
        if element.name == "tr":
            cells, self._cells = self._cells or [], None
            if cells and not element.find("th", recursive=False):
                self.blocks.append(Block(" | ".join(cells), self._trail.headings, element.sourceline, item=True))
        self._items -= element.name in ("li", "dd")

    def flush(self) -> None:
        """Close the paragraph being gathered."""
        text = squeeze("".join(self._text)).rstrip("¶§")
        if text and self._cells is not None:
            self._cells.append(text)
        elif text and self._linked <= _MOSTLY_LINKS * len(text):
            self.blocks.append(Block(text, self._trail.headings, self._line, item=self._items > 0))
        self._text.clear()
        self._linked = 0
