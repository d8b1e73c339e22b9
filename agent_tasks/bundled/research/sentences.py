"""Splitting prose into sentences, each a verbatim slice of it."""

import re

_END = re.compile(r"[.!?…][\"'”’)\]`]*\s+(?=[\"'“‘(\[`]*[A-Z0-9À-ÞΑ-ΩА-Я`])|(?<=[。！？])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|cf|vs|approx|Mr|Mrs|Ms|Dr|Prof|St|No|Fig|Eq|Sec|Ch|Vol|Inc|Ltd|Co|al|ca|pp?|resp)"
    r"|\b[A-Z])\.[\"'”’)\]]*\s*$"
)


def sentences(text: str) -> list[str]:
    """Return the sentences of `text`; a line break ends one too, and the mark of a list item is taken off."""
    found: list[str] = []
    for line in text.split("\n"):
        line = line.removeprefix("- ").strip()
        start = 0
        for end in _END.finditer(line):
            if not _ABBREVIATION.search(line, start, end.end()) and line.count("`", start, end.end()) % 2 == 0:
                found.append(line[start : end.end()].strip())
                start = end.end()
        found.append(line[start:].strip())
    return [sentence for sentence in found if sentence]
