"""The strict reading of a JSON body: only what is JSON by RFC 8259, means one thing, and can be kept as it is."""

import json
import math
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, NoReturn, cast

from agent_tasks.gateway.refusals import Refused
from agent_tasks.task.arguments import is_storable, shown

DEEPEST = 64
MOST_DIGITS = 308
"""Digits of a whole number: all that still fit into a double."""
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A string, also one without an end; possessive, so that no body makes it search twice."""
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
"""What a NUL character or a surrogate is written with: raw ones are no JSON, or no UTF-8."""


def parse(body: bytes) -> Any:
    """The value of a JSON text in UTF-8. Raises Refused (400) that says what is wrong with it, and where.

    Refused besides what is no JSON: NaN and Infinity; numbers that are no finite double; the same key twice in one
    object; more than 64 levels; NUL characters and lone surrogates, which Postgres cannot keep.
    """
    if body.startswith(BOM_UTF8):
        raise _refused("The body begins with a byte order mark. Send UTF-8 without one.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused(f"The body is not UTF-8: byte {error.start + 1} cannot be decoded. Send UTF-8.") from None
    if not text.strip(" \t\r\n"):
        raise _refused("The body is empty. Send a JSON object.")
    if _is_too_deep(body):
        raise _refused(f"The body is nested more than {DEEPEST} levels deep. Send a flatter value.")
    try:
        value = _decode(text)
    except json.JSONDecodeError as error:
        problem = error.msg.removesuffix(" at")
        raise _refused(
            f"The body is not JSON: {problem} at line {error.lineno}, column {error.colno}. Send JSON by RFC 8259."
        ) from None
    if _SUSPECT.search(body) and (path := next(_unstorable(value, ()), None)) is not None:
        where = ".".join(map(str, path))
        raise _refused(
            f"A text at {where or 'the top'} has a NUL character or a lone surrogate, which cannot be kept. "
            "Take it out, or send the text in base64.",
            field=where or None,
        )
    return value


def _refused(detail: str, field: str | None = None) -> Refused:
    return Refused(400, "invalid_json", "The body is not JSON that can be kept", detail, field)


def _is_too_deep(body: bytes) -> bool:
    """Counted before the decoder, which calls itself for each level."""
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return False
    brackets = _STRING.sub(b"", body).translate(None, _ALL_BUT_BRACKETS)
    return any(depth > DEEPEST for depth in accumulate(map(_STEPS.__getitem__, brackets)))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = iter([key for key, _ in pairs])
        seen: set[str] = set()
        twice = next(key for key in keys if key in seen or seen.add(key))
        raise _refused(
            f"The key {shown(twice)} occurs twice in one object. Send it once.",
            field=twice if is_storable(twice) else None,
        )
    return found


def _double(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _refused(f"The number {shown(text)} is beyond what a double holds. Send a smaller one, or a text.")
    return number


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS and (digits := len(text.lstrip("-"))) > MOST_DIGITS:
        raise _refused(f"A whole number of {digits:,} digits: at most {MOST_DIGITS} are read. Send it as a text.")
    return int(text)


def _constant(text: str) -> NoReturn:
    raise _refused(f"{text} is no JSON number (RFC 8259, section 6). Send null or a text instead.")


_decode = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_double, parse_int=_whole, parse_constant=_constant
).decode


def _unstorable(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """The paths of texts that Postgres cannot keep; of a key, that of its object."""
    if isinstance(value, str) and not is_storable(value):
        yield path
    elif isinstance(value, list):
        for place, item in enumerate(cast(list[Any], value)):
            yield from _unstorable(item, (*path, place))
    elif isinstance(value, dict):
        for key, item in cast(dict[str, Any], value).items():
            yield from _unstorable(item, (*path, key)) if is_storable(key) else (path,)
