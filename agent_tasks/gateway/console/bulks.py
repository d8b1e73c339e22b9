"""*Bulk*: operations on all tasks of a filter, how far each has come, and what one would do."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from agent_tasks.client.bulk import BulkOperation
from agent_tasks.errors import InvalidInput
from agent_tasks.gateway.console.filled import whole
from agent_tasks.gateway.console.visitor import Look

OPERATIONS: dict[str, BulkOperation] = {each: each for each in get_args(BulkOperation)}


@dataclass(frozen=True)
class Options:
    """What an operation needs beside the filter, as it was filled in."""

    given: dict[str, str]

    @classmethod
    def of(cls, operation: str, given: Mapping[str, str]) -> "Options":
        """Return those of the form that this operation takes."""
        return cls({name: given.get(name, "").strip() for name in _OPTIONS.get(operation, ())})

    @property
    def values(self) -> dict[str, Any]:
        """The same as `AgentTasks.bulk` takes them. Raises InvalidInput."""
        found: dict[str, Any] = {}
        for name, text in self.given.items():
            if name == "priority":
                found[name] = whole(text, name)
            elif name == "payload":
                found[name] = _payload(text)
            elif name == "reason":
                found[name] = text or "cancelled in the console"
            else:
                found[name] = text
        return found


_OPTIONS = {"cancel": ("reason",), "signal": ("name", "payload"), "prioritise": ("priority",), "move": ("to",)}


def _payload(text: str) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The payload is not valid JSON: {error}.", field="payload") from None


_MOST = 50


def look(look: Look) -> dict[str, Any]:
    """What the page shows."""
    return {
        "bulks": look.client.bulks(limit=_MOST, identity=look.caller.viewer),
        "counted": None,
        "asked": None,
        "options": {},
        "once": "",
    }
