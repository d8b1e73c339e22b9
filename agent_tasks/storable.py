"""Making any text or value storable in Postgres, for messages and details that must be kept whatever they are."""

import json
import math
from typing import Any

from pydantic_core import from_json, to_jsonable_python

DEEPEST = 150
_PARSED = 201
"""The levels that pydantic's JSON parser follows."""


def storable(text: str) -> str:
    """Return `text` without what Postgres refuses."""
    return text.replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode()


def storable_value(value: Any) -> Any:
    """Return `value` as JSON that jsonb accepts, whatever it is; parts with no JSON form become text."""
    try:
        plain = _cleaned(to_jsonable_python(value, fallback=repr, inf_nan_mode="constants"))
        if not is_deep(json.dumps(plain)):
            return plain
    except Exception:  # no JSON form, or a user's broken one
        plain = value
    try:
        return storable(repr(plain)[:2000])
    except Exception:
        return f"({type(value).__name__})"


def _cleaned(plain: Any) -> Any:
    if isinstance(plain, str):
        return storable(plain)
    if isinstance(plain, float) and not math.isfinite(plain):
        return str(plain)
    if isinstance(plain, list):
        return [_cleaned(item) for item in plain]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(plain, dict):
        return {storable(str(key)): _cleaned(item) for key, item in plain.items()}  # pyright: ignore
    return plain


def is_deep(text: str) -> bool:
    """Whether `text` is nested too deeply for readers of a snapshot to parse."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return False
    try:
        from_json("[" * (_PARSED - DEEPEST) + text + "]" * (_PARSED - DEEPEST))
    except ValueError:
        return True
    return False
