"""Whether the answer to a submit waits for the task's end: what the request asks for, what the agent says, and why."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from agent_tasks.authoring.agent import ModeName
from agent_tasks.gateway.prefer import LONGEST_SECONDS, Preference

AUTO_SECONDS = 10.0
"""As long as `auto` waits, and as a task may take at p95 for it to wait at all."""
LARGE = 8 * 1024
"""Bytes of JSON of an input that is large for an agent of which nothing is known."""
_SHOWN = 60
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Letters of scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, Chinese, Japanese."""


@dataclass(frozen=True)
class Mode:
    """How a submit is answered: at once, or with the task's end where that comes within `wait_seconds`."""

    name: Literal["sync", "async"]
    wait_seconds: float
    why: str
    applied: str | None = None
    """The preference of the request that was followed."""

    @property
    def headers(self) -> dict[str, str]:
        """`Preference-Applied`, as in RFC 7240, section 3."""
        return {"Preference-Applied": self.applied} if self.applied else {}


def choose(
    asked: ModeName | None,
    declared: ModeName,
    hints: Sequence[str],
    input: Any,
    past: Callable[[], float | None],
    prefer: Preference,
) -> Mode:
    """The mode of one submit: as the request asks, else as it prefers, else as the agent declares.

    `hints` are words and phrases in an input that make `auto` answer at once. `past` says how long 95 % of
    the agent's last runs took at most, and is asked only where it matters. The reason has no number of it: the runs
    may be those of other tenants.
    """
    if asked is None and prefer.wait_seconds is not None:
        return _waiting(prefer.wait_seconds, f"the request prefers wait={prefer.wait_seconds}", prefer)
    if asked is None and prefer.is_async:
        return Mode("async", 0, "the request prefers respond-async", "respond-async")
    name, who = (asked, "the request asks for") if asked else (declared, "the agent is declared as")
    if name == "async":
        return Mode("async", 0, f"{who} async")
    if name == "sync":
        return _waiting(LONGEST_SECONDS if prefer.wait_seconds is None else prefer.wait_seconds, f"{who} sync", prefer)
    is_too_long, why = _expected(hints, input, past)
    if is_too_long:
        return Mode("async", 0, f"auto: {why}")
    return _waiting(AUTO_SECONDS if prefer.wait_seconds is None else prefer.wait_seconds, f"auto: {why}", prefer)


def _waiting(seconds: float, why: str, prefer: Preference) -> Mode:
    applied = None if prefer.wait_seconds is None else f"wait={prefer.wait_seconds}"
    return Mode("sync" if seconds else "async", seconds, why, applied)


def _expected(hints: Sequence[str], input: Any, past: Callable[[], float | None]) -> tuple[bool, str]:
    """Whether a task is likely to take too long to wait for, and why that is thought."""
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
