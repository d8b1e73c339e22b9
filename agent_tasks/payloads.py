"""The one place where values become JSON for Postgres, and are refused when they cannot."""

import json
import math
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from agent_tasks.errors import AgentTaskError, InvalidInput, PayloadTooLarge, StepFailed

DEFAULT_LIMIT = 1024 * 1024


def encode(value: Any, what: str, *, limit: int = DEFAULT_LIMIT, error: type[AgentTaskError] = InvalidInput) -> str:
    """`value` as JSON text that jsonb accepts.

    `what` names the payload in errors ("input", "result", ...). Raises PayloadTooLarge above `limit` bytes,
    and `error` for what JSON or jsonb cannot hold: NaN and infinity (RFC 8259, section 6), NUL characters
    and lone surrogates (PostgreSQL, "JSON Types"), objects with no JSON form.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, default=to_jsonable_python)
        size = len(text) if text.isascii() else len(text.encode())
        flawed = "\\u0000" in text
    except (ValueError, TypeError, RecursionError, PydanticSerializationError):
        size, flawed, text = 0, True, ""
    if flawed and (flaw := _flaw(value, what)):
        raise error(f"The {what} cannot be stored as JSON: {flaw}.", field=flaw.split(" ", 1)[0])
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
    return text


def encode_outcome(value: Any, what: str, *, limit: int = DEFAULT_LIMIT) -> str:
    """`encode` for what an agent's code returned: a value with no JSON form is the step's failure."""
    return encode(value, what, limit=limit, error=StepFailed)


def _flaw(value: Any, path: str, depth: int = 0) -> str | None:
    """Where the first value is that JSON or jsonb cannot hold, in words; None if there is none."""
    if value is None or isinstance(value, bool | int):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{path} is {value}, which JSON has no number for"
    if isinstance(value, str):
        if "\x00" in value:
            return f"{path} contains a NUL character (\\u0000), which Postgres refuses; remove it"
        try:
            value.encode()
        except UnicodeEncodeError as error:
            return f"{path} contains a lone surrogate at position {error.start}; decode the text properly"
        return None
    if depth > 200:
        return f"{path} is nested too deeply, or contains itself"
    if isinstance(value, dict):
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            if flaw := _flaw(key, f"{path} key") or _flaw(item, f"{path}.{key}", depth + 1):
                return flaw
        return None
    if isinstance(value, list | tuple):
        for position, item in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            if flaw := _flaw(item, f"{path}[{position}]", depth + 1):
                return flaw
        return None
    try:
        plain = to_jsonable_python(value)
    except (PydanticSerializationError, UnicodeDecodeError, ValueError):
        return f"{path} is a {type(value).__name__}, which has no JSON form; return plain data or a pydantic model"
    return _flaw(plain, path, depth + 1)


def storable(text: str) -> str:
    """`text` without what Postgres refuses: for messages that must be stored whatever they hold."""
    return text.replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode()
