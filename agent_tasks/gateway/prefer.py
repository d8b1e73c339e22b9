"""The header Prefer (RFC 7240): what a client would like, of which what is not understood is ignored."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

LONGEST_SECONDS = 60
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_VALUE = rf"(?:\s*=\s*(?P<value>{_TOKEN}|{_QUOTED})?)?"
_PREFERENCE = re.compile(rf"\s*(?P<name>{_TOKEN}){_VALUE}\s*(?:;.*)?", re.DOTALL)
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+"?)++', re.DOTALL)


@dataclass(frozen=True)
class Preference:
    """What of the header matters here. `wait_seconds` is at most 60; None where it says nothing of waiting."""

    wait_seconds: int | None = None
    is_async: bool = False
    """`respond-async` is in it."""

    @classmethod
    def parse(cls, headers: Sequence[str]) -> Self:
        """Read all headers of that name. The first of several preferences of one name counts."""
        found: dict[str, str] = {}
        for name, value in _preferences(",".join(headers)):
            found.setdefault(name, value)
        return cls(_seconds(found.get("wait", "")), "respond-async" in found)


def _preferences(text: str) -> Iterator[tuple[str, str]]:
    for element in _ELEMENT.findall(text):
        if parsed := _PREFERENCE.fullmatch(element):
            value = parsed["value"] or ""
            if value.startswith('"'):
                value = re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)
            yield parsed["name"].lower(), value


def _seconds(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal()):
        return None
    return LONGEST_SECONDS if len(text.lstrip("0")) > 2 else min(int(text[-2:]), LONGEST_SECONDS)
