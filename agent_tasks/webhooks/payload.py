"""What a webhook says: thin by default, with the task's snapshot by choice."""

import json
from typing import Any

from agent_tasks.task.webhook_event import event_id, told
from agent_tasks.transitions.delivery import Claimed

LARGEST = 20_000
"""Bytes of a body (Standard Webhooks: under 20 kB)."""


def message_id(claimed: Claimed) -> str:
    """Return the id of the event that is told of: the same in each attempt and replay, and at each endpoint."""
    return event_id(claimed["task_id"], claimed["seq"], claimed["outbox_id"])


def body(claimed: Claimed, *, public_url: str, task: dict[str, Any] | None = None) -> str:
    """Return the JSON of an event. `task`: its snapshot, for a full body; where that is too large, it is left out."""
    thin = told(
        type=claimed["type"],
        at=claimed["at"],
        task_id=claimed["task_id"],
        seq=claimed["seq"],
        agent=claimed["agent"],
        status=claimed["task_status"],
        version=claimed["version"],
        data=claimed["data"],
        public_url=public_url,
    )
    if task is None:
        return _text(thin)
    full = _text(_with(thin, task=task, event=claimed["data"]))
    return full if len(full.encode()) < LARGEST else _text(_with(thin, truncated=True))


def _with(thin: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**thin, "data": {**thin["data"], **more}}


def _text(told: dict[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))
