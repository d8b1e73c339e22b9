"""*Audit*: who wrote what, through which door, and who was refused."""

from typing import Any
from urllib.parse import urlencode

from agent_tasks.errors import InvalidInput, TaskNotFound
from agent_tasks.gateway.console.visitor import Look
from agent_tasks.task.origin import DOORS

_PAGE = 100
_FILTERS = ("task_id", "operation", "subject", "tenant", "door")
READS = (*_FILTERS, "after")


def look(look: Look) -> dict[str, Any]:
    """What the page shows."""
    given = {name: look.first(name) for name in _FILTERS if look.first(name)}
    shown: dict[str, Any] = {"given": given, "entries": [], "next": None, "wrong": None, "doors": DOORS}
    after = look.first("after")
    try:
        if after and not (after.isascii() and after.isdecimal() and len(after) < 19):
            raise InvalidInput("after must be the id of an entry.", field="after")
        entries = look.client.audit(
            **given, after=int(after) if after else None, limit=_PAGE, identity=look.caller.identity
        )
    except (InvalidInput, TaskNotFound) as error:
        return {**shown, "wrong": error.message}
    next = urlencode({**given, "after": entries[-1].id}) if len(entries) == _PAGE else None
    return {**shown, "entries": entries, "next": next}
