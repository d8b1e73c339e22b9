"""What is told of an event outside: the same in webhooks and in the feed, whoever is told."""

from datetime import datetime
from typing import Any
from uuid import UUID


def event_id(task_id: UUID | None, seq: int | None, outbox_id: int) -> str:
    """Return the `webhook-id` of an event, which all its deliveries have, those that are repeated, too."""
    return f"evt_{outbox_id}" if task_id is None else f"evt_{task_id.hex}_{seq}"


def told(
    *,
    type: str,
    at: datetime,
    task_id: UUID | None,
    seq: int | None,
    agent: str | None,
    status: str | None,
    version: int | None,
    data: Any,
    public_url: str,
) -> dict[str, Any]:
    """Return the thin body: which task it is, and how it stood; of what is no task's event, its data."""
    about: Any = data
    if task_id is not None:
        about = {
            "task_id": str(task_id),
            "agent": agent,
            "status": status,
            "version": version,
            "sequence": seq,
            "link": f"{public_url}/tasks/{task_id}",
        }
    return {"type": type, "timestamp": at.isoformat().replace("+00:00", "Z"), "data": about or {}}
