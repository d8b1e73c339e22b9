"""Markdown into blocks, without code, images, badges, raw HTML and lists of links."""

import re
from typing import Any

from agent_tasks.bundled.extras import optional
from agent_tasks.bundled.research.formats.blocks import Block, Document, Trail, squeeze

_FRONT_MATTER = re.compile(r"\A---\n.*?\n(?:---|\.\.\.)\n", re.DOTALL)
_MOSTLY_LINKS = 0.6


def read(text: str, name: str, first_line: int = 1) -> Document:
    """Read Markdown into blocks; `name` is the title if the document has no heading of its own."""
    if front := _FRONT_MATTER.match(text):
        first_line += front.group().count("\n")
        text = text[front.end() :]
    tokens: list[Any] = optional("markdown_it", "research").MarkdownIt("commonmark").enable("table").parse(text)
    blocks: list[Block] = []
    trail = Trail()
    title: str | None = None
    level = items = 0
    table_head = False
    cells: list[str] | None = None
    line = first_line
    for token in tokens:
        if token.map is not None:
            line = first_line + token.map[0]
        match token.type:
            case "heading_open":
                level = int(token.tag[1:])
            case "heading_close":
                level = 0
            case "list_item_open" | "list_item_close":
                items += token.nesting
            case "thead_open" | "thead_close":
                table_head = token.nesting == 1
            case "tr_open":
                cells = []
            case "tr_close":
                if cells and not table_head:
                    blocks.append(Block(" | ".join(cells), trail.headings, line, item=True))
                cells = None
            case "inline" if level:
                heading = _plain(token.children)[0]
                title = title or heading or None
                trail.enter(level, heading)
            case "inline":
                content, linked = _plain(token.children)
                if content and cells is not None:
                    cells.append(content)
                elif content and linked <= _MOSTLY_LINKS:
                    blocks.append(Block(content, trail.headings, line, item=items > 0))
            case _:
                pass
    return Document(title or name, blocks)


def _plain(children: list[Any]) -> tuple[str, float]:
    """Return the text of inline tokens, and the share of it that is link text."""
    parts: list[str] = []
    linked = depth = 0
    for child in children:
        match child.type:
            case "link_open" | "link_close":
                depth += child.nesting
                continue
            case "text":
                part = child.content
            case "code_inline":
                part = f"`{child.content}`"
            case "softbreak" | "hardbreak":
                part = " "
            case "html_inline" if child.content.lower().startswith("<br"):
                part = " "
            case _:
                continue
        parts.append(part)
        linked += len(part) if depth else 0
    text = "".join(parts)
    return squeeze(text), linked / max(len(text), 1)
