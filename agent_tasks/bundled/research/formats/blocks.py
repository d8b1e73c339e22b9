"""The block: one paragraph, list item or table row of a document, and where it stands."""

import re
from dataclasses import dataclass

_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of prose; `line` and `page` count from 1, `item` marks a list item."""

    text: str
    headings: tuple[str, ...] = ()
    line: int | None = None
    page: int | None = None
    item: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    title: str
    blocks: list[Block]


def clean(text: str) -> str:
    """Return `text` without what jsonb refuses (NUL, lone surrogates) and without invisible characters."""
    return _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).encode("utf-8", "replace").decode()


def squeeze(text: str) -> str:
    """Return the text on one line with single spaces."""
    return " ".join(text.split())


class Trail:
    """The headings above the current place."""

    def __init__(self, *fixed: str) -> None:
        self._fixed = fixed
        self._open: list[tuple[int, str]] = []

    def enter(self, level: int, heading: str) -> None:
        self._open = [(at, text) for at, text in self._open if at < level]
        if heading:
            self._open.append((level, heading))

    @property
    def headings(self) -> tuple[str, ...]:
        return (*self._fixed, *(text for _, text in self._open))
