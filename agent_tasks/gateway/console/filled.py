"""What was filled in: limits, numbers and JSON, of whichever form."""

import json
from typing import Any

from agent_tasks.errors import InvalidInput
from agent_tasks.task.budget import Budget


def budget_of(given: dict[str, str]) -> Budget | None:
    """Return the limits that were filled in; None where none was. Raises InvalidInput."""
    amounts: dict[str, Any] = {}
    for name in ("seconds", "usd"):
        if text := given.get(name, "").strip():
            try:
                amounts[name] = float(text)
            except ValueError:
                raise InvalidInput(f"{name} must be a number, as 12.5.", field=name) from None
    for name in ("tokens", "steps", "calls"):
        if (number := whole(given.get(name, ""), name)) is not None:
            amounts[name] = number
    return Budget(**amounts) if amounts else None


def object_of(text: str, what: str, field: str) -> dict[str, Any]:
    """Return a JSON object. Raises InvalidInput for what is none."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{what} is not valid JSON: {error}.", field=field) from None
    if not isinstance(found, dict):
        raise InvalidInput(f"{what} must be a JSON object: names, each with a value.", field=field)
    return found  # pyright: ignore[reportUnknownVariableType]


def whole(text: str, name: str) -> int | None:
    """Return a whole number; None where none was filled in. Raises InvalidInput."""
    if not text.strip():
        return None
    if not (text.strip().isascii() and text.strip().isdecimal() and len(text.strip()) < 16):
        raise InvalidInput(f"{name} must be a whole number, as 12.", field=name)
    return int(text)
