"""Cutting a document into passages that can be quoted, leaving out anything that is not prose."""

import re
from itertools import groupby

from pydantic import BaseModel

from agent_tasks.bundled.research.formats.blocks import Block, Document
from agent_tasks.bundled.research.sentences import sentences

WANTED = 420
LONGEST = 700
FEWEST_WORDS = 8
STANDS_ALONE = 110

_WORD = re.compile(r"[^\W\d_]{2,}")
_ENGLISH_GLUE = re.compile(
    r"\b(?:the|an?|of|to|in|is|are|and|or|for|with|that|this|it|be|on|by|as|not|can|will|you|your|if|when|from|"
    r"der|die|das|und|ist|le|la|les|et|est|un|una|el|los|de|du|en|que|il|het|een|van)\b",
    re.IGNORECASE,
)
_JUNK = re.compile(
    r"without warranty|permission is hereby granted|redistribution and use in|licensed under|"
    r"\bthis license\b|free software foundation|sublicens|"
    r"all rights reserved|"
    r"copyright (?:\(c\)|©|\d{4})|copyright notice|spdx-license|skip to (?:main )?content|table of contents|"
    r"edit (?:this page )?on github|this file is (?:auto)?generated|enable javascript|"
    r"accept (?:all )?cookies|"
    r"^(?:changed|added|deprecated) in version \S+$|star us on|join (?:us|the) (?:on|our) (?:slack|discord)",
    re.IGNORECASE,
)
_CHANGE_LINKS = re.compile(r"(?:\bby @\w|\B#\d{2,6}\b|/(?:pull|issues|commit)/)")
_URL = re.compile(r"\w+://\S+|\bwww\.\S+")
_CODE_MARKS = re.compile(r"[{}<>=;\\|$@^~]|::|\(\)|->")
_IDENTIFIER = re.compile(r"\b\w+_\w+")
_CODE_SPAN = re.compile(r"`[^`]*`")


class Passage(BaseModel):
    """A quotation and its place; `line` and `page` count from 1."""

    text: str
    path: str = ""
    title: str = ""
    headings: list[str] = []
    line: int | None = None
    page: int | None = None
    score: float = 0.0

    @property
    def place(self) -> str:
        """The passage's place in the document, in words."""
        parts = [heading for heading in self.headings if heading != self.title][-2:]
        if self.page is not None:
            parts.append(f"page {self.page}")
        elif self.line is not None:
            parts.append(f"line {self.line}")
        return ", ".join([" › ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def split(document: Document, path: str = "") -> list[Passage]:
    """Split a document into passages of about WANTED and at most LONGEST characters, within a heading and a page."""
    passages: list[Passage] = []
    for (headings, page), blocks in groupby(document.blocks, lambda block: (block.headings, block.page)):
        gathered: list[Block] = []

        def flush(
            gathered: list[Block] = gathered, headings: tuple[str, ...] = headings, page: int | None = page
        ) -> None:
            while gathered and gathered[-1].text.endswith(":"):
                gathered.pop()  # it introduced code or a picture
            text = _joined(gathered)
            if len(_WORD.findall(text)) >= FEWEST_WORDS:
                where = [heading.rstrip(": ") for heading in headings]
                line = gathered[0].line
                passages.append(
                    Passage(text=text, path=path, title=document.title, headings=where, line=line, page=page)
                )
            gathered.clear()

        for block in blocks:
            if not is_prose(block.text, 2 if block.item else 4):
                if not block.item:
                    flush()
                continue
            for piece in _pieces(block):
                if gathered and not _belongs(piece, gathered):
                    flush()
                gathered.append(piece)
        flush()
    return passages


def is_prose(text: str, fewest: int = 4) -> bool:
    """Whether a block can be quoted: at least `fewest` words, and no code, navigation, licence or list of links."""
    words = _WORD.findall(text)
    if len(words) < fewest or _JUNK.search(text) or len(_CHANGE_LINKS.findall(text)) > 1 + len(words) // 40:
        return False
    if re.search(r"(?:\.\s?){5,}", text) or sum(map(len, _URL.findall(text))) > 0.3 * len(text):
        return False
    bare = _CODE_SPAN.sub(" ", text)
    if len(bare) < 0.4 * len(text) or len(_CODE_MARKS.findall(bare)) > 1 + len(words) // 8:
        return False
    if len(_IDENTIFIER.findall(bare)) > 1 + len(words) // 12:
        return False
    letters = sum(character.isalpha() or character.isspace() for character in text)
    glue = _ENGLISH_GLUE.search(text) or not text.isascii() or len(words) < 12
    return letters >= 0.72 * len(text) and bool(glue)


def _belongs(block: Block, gathered: list[Block]) -> bool:
    """Whether `block` continues what is gathered: a list item that says enough stands by itself."""
    size = len(_joined(gathered))
    if size + len(block.text) > LONGEST:
        return False
    if gathered[-1].text.endswith(":"):
        return block.item
    if block.item or gathered[-1].item:
        alone = max(len(block.text) * block.item, len(gathered[-1].text) * gathered[-1].item) >= STANDS_ALONE
        return block.item and not alone and size < WANTED
    return size < WANTED


def _pieces(block: Block) -> list[Block]:
    """Return the block, cut between sentences if it is too long; a longer sentence is cut between words."""
    if len(block.text) <= LONGEST:
        return [block]
    pieces: list[str] = [""]
    for sentence in sentences(block.text):
        while len(sentence) > LONGEST:
            cut = max(sentence.rfind(" ", 0, LONGEST), 1)
            pieces.append(sentence[:cut])
            sentence = sentence[cut:].lstrip() if cut > 1 else ""
        if pieces[-1] and len(pieces[-1]) + len(sentence) > WANTED + 150:
            pieces.append(sentence)
        else:
            pieces[-1] = f"{pieces[-1]} {sentence}".strip()
    return [
        Block(piece, block.headings, block.line, block.page, block.item and at == 0)
        for at, piece in enumerate(filter(None, pieces))
    ]


def _joined(blocks: list[Block]) -> str:
    text = ""
    for block in blocks:
        between = "" if not text else "\n" if block.item else "\n\n"
        text += between + ("- " if block.item and len(blocks) > 1 else "") + block.text
    return text
