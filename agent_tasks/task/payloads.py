"""The one place where values become JSON for Postgres, or are refused."""

import json
import math
import re
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from agent_tasks.errors import AgentTaskError, InvalidInput, PayloadTooLarge, StepFailed
from agent_tasks.storable import DEEPEST, is_deep
from agent_tasks.task.differences import difference

DEFAULT_LIMIT = 1024 * 1024
_LARGE_OR_NEGATIVE_ZERO = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9.]+e\+[0-9]+|-0\.0(?![0-9])')
_NEGATIVE_ZERO = "-1e-324"


def encode(value: Any, what: str, *, limit: int = DEFAULT_LIMIT, error: type[AgentTaskError] = InvalidInput) -> str:
    """Return `value` as JSON text that jsonb accepts and gives back as `stored` says.

    `what` names the payload in errors ("input", "result", ...). Raises PayloadTooLarge above `limit` bytes,
    and `error` for what JSON or jsonb cannot hold: NaN and infinity (RFC 8259, section 6), NUL characters
    and lone surrogates (PostgreSQL, "JSON Types"), two keys of one name (1 and "1"), objects with no JSON form,
    nesting beyond 150 levels.
    """
    try:
        text = _to_json(value)
        size = len(text) if text.isascii() else len(text.encode())
        flawed = "\\u0000" in text or is_deep(text) or _keys_clash(value)
    except (ValueError, TypeError, RecursionError):
        size, flawed, text = 0, True, ""
    if flawed and (flaw := _flaw(value, what)):
        path, problem = flaw
        raise error(f"The {what} cannot be stored as JSON: {path} {problem}.", field=path)
    if flawed and not text:
        raise error(f"The {what} cannot be stored as JSON: {what} has no JSON form.", field=what)
    if size > limit:
        raise PayloadTooLarge(
            f"The {what} is {size:,} bytes of JSON; the limit is {limit:,}. Store it elsewhere (a bucket, a "
            "table) and pass its address, or raise AGENT_TASKS_PAYLOAD_LIMIT.",
            payload=what,
            size=size,
            limit=limit,
        )
    return _exact(text) if "e+" in text or "-0.0" in text else text


def stored(text: str) -> Any:
    """Return the value of `text`, made by `encode`, as jsonb gives it back: equal, of the same types, its keys in
    jsonb's order (by their length in bytes, then by their bytes).

    Code that goes on with a value without reading the database gets it from here, so that a repeat, which does read,
    sees the same.
    """
    return _from_json(text)


def _in_order(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > 1:
        pairs.sort(key=_place)
    return dict(pairs)


def _place(pair: tuple[str, Any]) -> tuple[int, str]:
    key = pair[0]
    return len(key) if key.isascii() else len(key.encode()), key  # code points sort as their UTF-8 bytes do


_from_json = json.JSONDecoder(object_pairs_hook=_in_order).decode


def _exact(text: str) -> str:
    """Return `text` with its floats written so that jsonb, which has only decimal numbers, keeps them.

    1e+16 would come back as an integer, -0.0 without its sign: the one is written with a fraction, the other as a
    number too small for a float. Both are read back as they were.
    """
    return _LARGE_OR_NEGATIVE_ZERO.sub(_exact_token, text)


def _exact_token(found: "re.Match[str]") -> str:
    token = found[0]
    if token.startswith('"'):
        return token
    return _NEGATIVE_ZERO if token == "-0.0" else f"{Decimal(token):f}.0"


def _keys_clash(value: Any) -> bool:
    """Whether an object in `value` has two keys that are the same text in JSON, so that one would be lost."""
    if isinstance(value, dict):
        if not _TEXT.issuperset(map(type, value)) and _twins(value):  # pyright: ignore[reportUnknownArgumentType]
            return True
        value = value.values()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    elif not isinstance(value, list | tuple):
        return False
    return any(type(item) not in _SIMPLE and _keys_clash(item) for item in value)  # pyright: ignore


def _twins(keyed: "dict[Any, Any]") -> bool:
    return len(json.loads(json.dumps(dict.fromkeys(keyed)))) < len(keyed)


def encode_value(value: Any, what: str, *, limit: int = DEFAULT_LIMIT) -> str:
    """Encode what an agent's code returned: a value with no JSON form fails the step."""
    return encode(value, what, limit=limit, error=StepFailed)


_TEXT = frozenset({str})
_SIMPLE = frozenset({str, int, float, bool, type(None)})


class _Lossy(ValueError):
    """A part of a value has no JSON form that keeps all of it: the path below the value, and why."""


def _plain(value: Any) -> Any:
    """Return the value as plain data. Raises _Lossy, or pydantic's own error where there is no JSON form."""
    lost = None
    for whole in (False, True):
        plain = _in_full(value) if whole else to_jsonable_python(value, inf_nan_mode="constants")
        found = difference(value, plain, "", untyped=True)
        if found is None:
            return plain
        lost = lost or found
    raise _Lossy(*(lost or ()))


def _in_full(value: Any) -> Any:
    """Return the value as plain data with the fields of subclasses that no annotation names."""
    try:
        return to_jsonable_python(value, inf_nan_mode="constants", serialize_as_any=True)
    except ValueError:
        if not isinstance(value, BaseModel):
            raise
        return value.model_dump(mode="json", serialize_as_any=True)  # before 2.12 pydantic takes each for a circle


_to_json = json.JSONEncoder(allow_nan=False, ensure_ascii=False, default=_plain).encode


def _flaw(value: Any, path: str, depth: int = 1) -> tuple[str, str] | None:
    """Return the path of the first value that JSON or jsonb cannot hold, and why; None if there is none."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return None if value.bit_length() < 14_000 else (path, "is a number with more than 4,000 digits")
    if isinstance(value, float):
        return None if math.isfinite(value) else (path, f"is {value}, for which JSON has no number")
    if isinstance(value, str):
        if "\x00" in value:
            return path, "contains a NUL character (\\u0000), which Postgres refuses; remove it"
        try:
            value.encode()
        except UnicodeEncodeError as error:
            return path, f"contains a lone surrogate at position {error.start}; decode the text properly"
        return None
    if depth > DEEPEST:
        return path[:100], f"is nested more than {DEEPEST} levels deep, or contains itself"
    if isinstance(value, dict):
        seen: set[str] = set()
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            if not isinstance(key, str | int | float | None):
                return f"{path} key", f"is a {type(key).__name__}, not text"  # pyright: ignore
            if flaw := _flaw(key, f"{path} key") or _flaw(item, f"{path}.{key}", depth + 1):
                return flaw
            name = next(iter(json.loads(json.dumps({key: 0}))))
            if name in seen:
                return f"{path}.{name}", "is there twice: keys that differ in Python are the same name in JSON"
            seen.add(name)
        return None
    if isinstance(value, list | tuple):
        for position, item in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            if flaw := _flaw(item, f"{path}[{position}]", depth + 1):
                return flaw
        return None
    try:
        plain = _plain(value)
    except _Lossy as lost:
        return f"{path}{lost.args[0]}", lost.args[1]
    except (ValueError, TypeError, RecursionError):
        return path, f"is a {type(value).__name__}, which has no JSON form; return plain data or a pydantic model"
    return _flaw(plain, path, depth + 1)
