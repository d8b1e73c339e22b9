"""Whether a task is likely to take longer than somebody would wait: by its input, and by its agent's last runs."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

AUTO_SECONDS = 10.0
"""As long as `auto` waits, and as a task may take at p95 for it to wait at all."""
LARGE = 8 * 1024
"""Bytes of JSON of an input that is large for an agent of which nothing is known."""
_SHOWN = 60
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Letters of scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, Chinese, Japanese."""


def is_long(hints: Sequence[str], input: Any, past: Callable[[], float | None]) -> tuple[bool, str]:
    """Whether a task is likely to take too long to wait for, and why that is thought.

    `hints` are words and phrases in a text of the input that say so. `past` is how long 95 % of the agent's last runs
    took at most, None where there are none; it is asked only where it matters.
    """
    if hint := _said(hints, input):
        shown = hint if len(hint) <= _SHOWN else f"{hint[: _SHOWN - 1]}…"
        return True, f"the input says {shown!r}"
    if (seconds := past()) is not None:
        if seconds > AUTO_SECONDS:
            return True, f"too many of its last runs took more than {AUTO_SECONDS:g} s"
        return False, f"95 % of its last runs took at most {AUTO_SECONDS:g} s"
    size = len(json.dumps(input, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if size > LARGE:
        return True, f"nothing is known of its runs, and the input is large ({size:,} bytes)"
    return False, f"nothing is known of its runs, and the input is small ({size:,} bytes)"


def _said(hints: Sequence[str], input: Any) -> str | None:
    """The first hint that is in the texts of an input."""
    folded = [_folded(text) for text in _texts(input)] if hints else []
    return next((hint for hint in hints if any(_has(text, hint) for text in folded)), None)


def _texts(value: Any) -> Iterator[str]:
    """All texts in an input, without the keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in cast(dict[str, Any], value).values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in cast(Sequence[Any], value):
            yield from _texts(item)


def _has(text: str, hint: str) -> bool:
    """Whether a folded text has the word or phrase, whole, with whatever white space between words."""
    pattern = re.compile(r"\s+".join(map(re.escape, _folded(hint).split())))
    found = pattern.search(text)
    while found is not None and not _is_whole(text, found):
        found = pattern.search(text, found.start() + 1)
    return found is not None


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _is_whole(text: str, found: "re.Match[str]") -> bool:
    start, end = found.span()
    return not (start and _are_joined(text[start - 1 : start + 1])) and not _are_joined(text[end - 1 : end + 1])


def _are_joined(neighbours: str) -> bool:
    """Whether two characters are of one word; one alone is not."""
    return len(neighbours) == 2 and not _UNSPACED.search(neighbours) and all(map(_is_of_word, neighbours))


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")
