"""What a webhook says: thin by default, with the task's snapshot by choice."""

import json
from typing import Any

from agent_tasks.transitions.delivery import Claimed

LARGEST = 20_000
"""Bytes of a body (Standard Webhooks: under 20 kB)."""


def message_id(claimed: Claimed) -> str:
    """Return the id of the event that is told of: the same in each attempt and replay, and at each endpoint."""
    if claimed["task_id"] is None:
        return f"evt_{claimed['outbox_id']}"
    return f"evt_{claimed['task_id'].hex}_{claimed['seq']}"


def body(claimed: Claimed, *, public_url: str, task: dict[str, Any] | None = None) -> str:
    """Return the JSON of an event. `task`: its snapshot, for a full body; where that is too large, it is left out."""
    thin = _data(claimed, public_url)
    if task is None:
        return _text(claimed, thin)
    full = _text(claimed, {**thin, "task": task, "event": claimed["data"]})
    return full if len(full.encode()) < LARGEST else _text(claimed, {**thin, "truncated": True})


def _data(claimed: Claimed, public_url: str) -> dict[str, Any]:
    if claimed["task_id"] is None:
        return claimed["data"] or {}
    return {
        "task_id": str(claimed["task_id"]),
        "agent": claimed["agent"],
        "status": claimed["task_status"],
        "version": claimed["version"],
        "sequence": claimed["seq"],
        "link": f"{public_url}/tasks/{claimed['task_id']}",
    }


def _text(claimed: Claimed, data: dict[str, Any]) -> str:
    told = {"type": claimed["type"], "timestamp": claimed["at"].isoformat().replace("+00:00", "Z"), "data": data}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))
