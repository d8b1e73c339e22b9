"""What an A2A client is told of a task that it has begun: the state of the task, and by what it knows us."""

import json
from typing import Any

from agent_tasks.task.arguments import TASK_SIGNALS
from agent_tasks.transitions.delivery import Claimed

MEDIA_TYPE = "application/a2a+json"
_STATES = {
    "task.completed": "TASK_STATE_COMPLETED",
    "task.failed": "TASK_STATE_FAILED",
    "task.timeout": "TASK_STATE_FAILED",
    "task.partial": "TASK_STATE_FAILED",
    "task.cancelled": "TASK_STATE_CANCELED",
}


def body(claimed: Claimed, session_id: str | None) -> str:
    """Return the JSON of a `StreamResponse`: a new state. Whoever wants to know more asks for the task."""
    task_id = str(claimed["task_id"])
    at = claimed["at"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
    update = {
        "taskId": task_id,
        "contextId": session_id or task_id,
        "status": {"state": _state(claimed), "timestamp": at},
        "metadata": {"agent-tasks": {"status": claimed["task_status"], "version": claimed["version"]}},
    }
    return json.dumps({"statusUpdate": update}, ensure_ascii=False, separators=(",", ":"))


def headers(claimed: Claimed) -> dict[str, str]:
    """Return what A2A's headers say to an address; none where it is no A2A client's."""
    if claimed["push_id"] is None:
        return {}
    found = {"Content-Type": MEDIA_TYPE}
    if claimed["token"]:
        found["X-A2A-Notification-Token"] = claimed["token"]
    if claimed["scheme"]:
        found["Authorization"] = " ".join(filter(None, (claimed["scheme"], claimed["credentials"])))
    return found


def _state(claimed: Claimed) -> str:
    if claimed["type"] != "task.waiting":
        return _STATES[claimed["type"]]
    data: Any = claimed["data"] or {}
    names = data.get("names") or [] if data.get("kind") == "signal" else []
    asks = any(not name.startswith(TASK_SIGNALS) for name in names)
    return "TASK_STATE_INPUT_REQUIRED" if asks else "TASK_STATE_WORKING"
