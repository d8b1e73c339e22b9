"""Examples for the OpenAPI document: of each operation's answers, and of each problem that it can meet."""

from typing import Any

from agent_tasks.gateway.problems import MEDIA_TYPE, Problem

Responses = dict[int | str, dict[str, Any]]
_ID = "0198c2f4-5a9e-7c31-9a51-3f0c1c1f2b77"
_NOTHING = {"seconds": 0.0, "tokens": 0, "usd": 0.0, "steps": 0, "calls": 0}
_LIMIT = {"seconds": 300.0, "tokens": None, "usd": None, "steps": None, "calls": None}

PENDING: dict[str, Any] = {
    "id": _ID,
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
    "root_id": _ID,
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
SCHEDULE: dict[str, Any] = {
    "name": "morning",
    "tenant": "acme",
    "agent": "writer",
    "cron": "0 7 * * 1-5",
    "every_seconds": None,
    "timezone": "Europe/Berlin",
    "next_at": "2026-11-30T06:00:00Z",
    "last_at": None,
    "last_task_id": None,
}
AGENT: dict[str, Any] = {
    "name": "writer",
    "goal": "Writes about a topic.",
    "input_schema": {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]},
}
_PROBLEMS: dict[int, tuple[str, str, str, str, str]] = {
    400: ("invalid_json", "The body is not JSON", "Line 1, column 9: a value is missing.",
          "invalid_input", "fix_input"),
    401: ("unauthenticated", "No valid token", "Send `Authorization: Bearer <key>`.", "permission_denied", "escalate"),
    403: ("permission_denied", "Not allowed", "This takes the scope 'tasks:write', which the token has not.",
          "permission_denied", "escalate"),
    404: ("invalid_input", "No such task", f"No task {_ID} that 'ana' may see.", "invalid_input", "fix_input"),
    408: ("too_slow", "The body came too slowly", "Send the whole body within 30 s.", "invalid_input", "fix_input"),
    409: ("invalid_input", "The task's state does not allow this", f"Task {_ID} has ended as completed.",
          "invalid_input", "fix_input"),
    413: ("too_large", "Too large", "The body is larger than 2097152 bytes.", "payload_too_large", "fix_input"),
    415: ("not_json", "Not JSON", "Send Content-Type: application/json.", "invalid_input", "fix_input"),
    422: ("invalid_input", "The request cannot be carried out", "writer.outline: topic: Field required",
          "invalid_input", "fix_input"),
    424: ("step_failed", "The task has ended without a result", "ZeroDivisionError: division by zero",
          "step_failed", "escalate"),
    429: ("rate_limited", "Too many requests", "The tenant 'acme' has used up its 1000 requests. Try again in 1 s.",
          "upstream_unavailable", "retry"),
    503: ("upstream_unavailable", "A server does not answer", "The deployment's servers cannot be reached now.",
          "upstream_unavailable", "retry"),
}  # fmt: skip


def problem(status: int) -> dict[str, Any]:
    """An example of the problem document of a status."""
    kind, title, detail, type_, action = _PROBLEMS[status]
    again = action == "retry"
    error = {
        "type": type_,
        "message": detail,
        "retryable": again,
        "retry_after": 1 if again else None,
        "details": {},
        "checkpoint": None,
        "suggested_action": action,
    }
    urn = f"urn:agent-tasks:problem:{kind}"
    return {"type": urn, "title": title, "status": status, "detail": detail, "field": None, "error": error}


def of(what: str, example: Any) -> dict[str, Any]:
    """An answer in JSON."""
    return {"description": what, "content": {"application/json": {"example": example}}}


def answers(ok: Responses, *statuses: int) -> Responses:
    """What an operation answers: where it goes well, and its problems beside those of every operation."""
    failures: Responses = {
        status: {
            "description": _PROBLEMS[status][1],
            "model": Problem,
            "content": {MEDIA_TYPE: {"example": problem(status)}},
        }
        for status in sorted({401, 403, 422, 429, 503, *statuses})
    }
    return {**ok, **failures}


_BODY = (400, 408, 413, 415)
_ENDED = of("The task has ended.", COMPLETED)
_ACCEPTED = of("The task is accepted, and goes on.", PENDING)

submit = answers({202: _ACCEPTED, 200: _ENDED}, 409, *_BODY)
get_task = answers({200: of("The task.", PENDING), 304: {"description": "The version that is known."}}, 404)
get_result = answers({200: of("The result.", COMPLETED["result"]), 202: _ACCEPTED}, 404, 424)
EVENT: dict[str, Any] = {
    "task_id": _ID,
    "seq": 1,
    "type": "submitted",
    "data": {"agent": "writer", "step": "outline"},
    "at": "2026-11-27T09:00:00Z",
}
get_events = answers(
    {200: of("A page of events, and the number to go on from.", {"events": [EVENT], "next": 1})}, 400, 404
)
get_events[200]["content"]["text/event-stream"] = {
    "example": 'id: 1\nevent: submitted\ndata: {"seq": 1, "type": "submitted"}\n\nevent: end\ndata: {}\n\n'
}
get_tree = answers({200: of("The tree.", {"snapshot": PENDING, "children": []})}, 404)
cancel = answers({200: of("The task, which has ended.", CANCELLED)}, 404, *_BODY)
signal = answers(
    {200: of("What became of the signal.", {"kept": True, "delivered": True, "waiting_for": [], "unserved": None})},
    404,
    409,
    *_BODY,
)
resume = answers({202: of("The new task.", {**PENDING, "resumed_from": _ID})}, 404, 409, *_BODY)
acknowledge = answers({200: of("The task.", COMPLETED)}, 404, 409)
list_tasks = answers({200: of("A page.", {"tasks": [PENDING], "next": None})})
get_children = answers({200: of("A page.", {"tasks": [], "next": None})}, 404)
list_waiting = answers({200: of("Those that wait.", {"tasks": [WAITING]})})
list_agents = answers({200: of("The agents.", {"agents": [AGENT]})})
schedule = answers({200: of("The schedule.", SCHEDULE)}, *_BODY)
list_schedules = answers({200: of("The schedules.", {"schedules": [SCHEDULE]})})
get_schedule = answers({200: of("The schedule.", SCHEDULE)}, 404)
unschedule = answers({204: {"description": "It is forgotten."}}, 404)
healthz: Responses = {200: of("It lives.", {"status": "ok"})}
_READY = {"postgres": "ok", "redis": "ok", "schema": "ok"}
readyz: Responses = {
    200: of("It is ready.", {"status": "ok", "checks": _READY}),
    503: of("It is not.", {"status": "unavailable", "checks": {**_READY, "redis": "cannot be reached"}}),
}
metrics = answers({200: {"description": "The metrics.", "content": {"text/plain": {}}}})
