"""*Bulk*: operations on all tasks of a filter, how far each has come, and what one would do."""

from typing import Any

from agent_tasks.client.bulk import BulkOperation
from agent_tasks.gateway.console.visitor import Look

OPERATIONS: dict[str, BulkOperation] = {"cancel": "cancel", "resume": "resume", "acknowledge": "acknowledge"}
"""Those that need nothing but the filter."""
_MOST = 50


def look(look: Look) -> dict[str, Any]:
    """What the page shows."""
    return {"bulks": look.client.bulks(limit=_MOST, identity=look.caller.viewer), "counted": None, "asked": None}
