"""Examples for the OpenAPI document: of tasks, from their submit to their end."""

from typing import Any

from agent_tasks.gateway import headers
from agent_tasks.gateway.examples.answers import BODY, ID, answers, links, of
from agent_tasks.gateway.shapes import Submitted
from agent_tasks.task.snapshot import TaskSnapshot

_NOTHING = {"seconds": 0.0, "tokens": 0, "usd": 0.0, "steps": 0, "calls": 0}
_LIMIT = {"seconds": 300.0, "tokens": None, "usd": None, "steps": None, "calls": None}
PENDING: dict[str, Any] = {
    "id": ID,
    "agent": "writer",
    "status": "pending",
    "step": "outline",
    "step_number": 0,
    "attempt": 0,
    "progress": None,
    "budget": {"limit": _LIMIT, "spent": _NOTHING, "remaining": _LIMIT, "reserved": _NOTHING},
    "waiting_for": None,
    "result": None,
    "partial": None,
    "remaining": None,
    "error": None,
    "version": 1,
    "parent_id": None,
    "root_id": ID,
    "resumed_from": None,
    "identity": {"subject": "ana", "tenant": "acme", "scopes": ["tasks:write"], "actors": []},
    "session_id": None,
    "metadata": {"ticket": 7},
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "queue": "agents",
    "worker": None,
    "created_at": "2026-11-27T09:00:00Z",
    "started_at": None,
    "claimed_at": None,
    "finished_at": None,
    "acknowledged_at": None,
    "suspect": False,
    "unserved": None,
    "paused": None,
}
COMPLETED: dict[str, Any] = {
    **PENDING,
    "status": "completed",
    "step": "publish",
    "step_number": 3,
    "version": 9,
    "result": {"url": "https://acme.example/tides"},
    "started_at": "2026-11-27T09:00:00.004Z",
    "finished_at": "2026-11-27T09:02:11.310Z",
}
CANCELLED: dict[str, Any] = {
    **PENDING,
    "status": "cancelled",
    "version": 4,
    "error": {
        "type": "cancelled",
        "message": "not needed any more",
        "retryable": False,
        "retry_after": None,
        "details": {"reason": "not needed any more"},
        "checkpoint": None,
        "suggested_action": "resume",
    },
    "finished_at": "2026-11-27T09:00:31.112Z",
}
SUBMITTED: dict[str, Any] = {**PENDING, "mode": "async", "mode_reason": "the agent is declared as async"}
WAITED_FOR: dict[str, Any] = {**COMPLETED, "mode": "sync", "mode_reason": "the request prefers wait=10"}
WAITING: dict[str, Any] = {
    **PENDING,
    "status": "waiting",
    "step": "publish",
    "step_number": 2,
    "version": 6,
    "waiting_for": {
        "kind": "signal",
        "name": "approval",
        "names": ["approval"],
        "mode": "any",
        "wait_id": "2",
        "since": "2026-11-27T09:01:40Z",
        "until": "2026-11-29T09:01:40Z",
    },
}
_RECEIPT = {"kept": True, "delivered": True, "waiting_for": [], "unserved": None}
_TASK = ("ETag", "Cache-Control")
GOING = (*_TASK, "Retry-After")
_OF_A_TASK = (
    *("get_task", "get_result", "get_events", "get_children", "get_calls", "get_logs", "get_tree"),
    *("cancel", "signal", "resume", "acknowledge", "pause", "unpause"),
)
NEW = {"links": links("id", "id", *_OF_A_TASK)}
_ACCEPTED = of("The task goes on.", PENDING, TaskSnapshot, (*GOING, "Location"))

submit = answers(
    {
        202: of("The task is accepted.", SUBMITTED, None, (*GOING, "Location", "Preference-Applied")) | NEW,
        200: of("The task has ended.", WAITED_FOR, Submitted, (*_TASK, "Location", "Preference-Applied")) | NEW,
    },
    409,
    *BODY,
)
get_task = answers(
    {
        200: of("The task.", PENDING, None, GOING),
        304: {
            "description": "The version is the one that is known.",
            "headers": headers.of_answer("ETag", "Retry-After"),
        },
    },
    404,
)
get_result = answers(
    {200: of("The result, of whatever kind.", COMPLETED["result"], None, ("ETag",)), 202: _ACCEPTED}, 404, 424
)
get_tree = answers({200: of("The tree.", {"snapshot": PENDING, "children": []})}, 404)
cancel = answers({200: of("The task, which has ended, or ends.", CANCELLED, None, GOING)}, 404, *BODY)
signal = answers(
    {200: of("What became of the signal.", _RECEIPT)},
    404,
    409,
    *BODY,
)
resume = answers(
    {202: of("The new task.", {**PENDING, "resumed_from": ID}, None, (*GOING, "Location")) | NEW}, 404, 409, *BODY
)
acknowledge = answers({200: of("The task.", COMPLETED, None, _TASK)}, 404, 409)
list_tasks = answers({200: of("A page.", {"tasks": [PENDING], "next": None})})
get_children = answers({200: of("A page.", {"tasks": [], "next": None})}, 404)
list_waiting = answers({200: of("Those that wait.", {"tasks": [WAITING]})})
