"""*Deliveries*: what was told to endpoints, and what came of it."""

from typing import Any, get_args
from urllib.parse import urlencode

from agent_tasks.client.delivery import DeliveryStatus
from agent_tasks.errors import InvalidInput, TaskNotFound
from agent_tasks.gateway.console.visitor import Look

_PAGE = 50
_FILTERS = ("status", "webhook", "task_id", "type", "tenant")
READS = (*_FILTERS, "after")


def look(look: Look) -> dict[str, Any]:
    """What the page shows."""
    given = {name: look.first(name) for name in _FILTERS if look.first(name)}
    shown: dict[str, Any] = {
        "given": given,
        "statuses": get_args(DeliveryStatus),
        "deliveries": [],
        "next": None,
        "wrong": None,
    }
    asked: dict[str, Any] = dict(given)
    if not look.visitor.sees_all:
        asked.pop("tenant", None)
    if "webhook" in asked:
        asked.setdefault("tenant", look.visitor.tenant)
    try:
        page = look.client.webhooks.deliveries(
            **asked, limit=_PAGE, after=look.first("after") or None, identity=look.caller.viewer
        )
    except (InvalidInput, TaskNotFound) as error:
        return {**shown, "wrong": error.message}
    next = urlencode({**given, "after": page.next}) if page.next else None
    return {**shown, "deliveries": page.deliveries, "next": next}
