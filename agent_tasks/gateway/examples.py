"""Examples for the OpenAPI document: of each operation's requests and answers, and of each problem that it can meet."""

import json
from typing import Any

from pydantic import BaseModel

from agent_tasks.errors import HookClosed, InvalidInput, InvalidState, PermissionDenied, TaskCancelled, TaskNotFound
from agent_tasks.gateway import headers, problems
from agent_tasks.gateway.credentials import Unauthenticated
from agent_tasks.gateway.problems import MEDIA_TYPE, Problem
from agent_tasks.gateway.refusals import Refused
from agent_tasks.gateway.shapes import Readiness, Submitted
from agent_tasks.task.snapshot import TaskSnapshot

Responses = dict[int | str, dict[str, Any]]
ID = "0198c2f4-5a9e-7c31-9a51-3f0c1c1f2b77"
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
    "catch_up": "one",
    "paused_at": None,
    "paused_by": None,
    "paused_reason": None,
}
AGENT: dict[str, Any] = {
    "name": "writer",
    "goal": "Writes about a topic.",
    "first_step": "outline",
    "input_schema": {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]},
}
SPENT: dict[str, Any] = {
    "agent": None,
    "tenant": "acme",
    "subject": None,
    "model": None,
    "day": "2026-11-27",
    "tasks": 41,
    "charges": 96,
    "tokens": 184_220,
    "usd": 1.31,
}
BULK: dict[str, Any] = {
    "id": ID,
    "operation": "cancel",
    "filter": {"agent": "writer", "metadata": {"batch": 7}},
    "status": "running",
    "limit": None,
    "matched": 3000,
    "done": 2988,
    "passed_over": 12,
    "failed": 0,
    "problems": [],
    "tenant": "acme",
    "created_at": "2026-11-27T09:00:00Z",
    "finished_at": None,
}
PAUSE: dict[str, Any] = {
    "id": 42,
    "kind": "agent",
    "name": "writer",
    "tenant": "acme",
    "reason": "spends too much",
    "by": "olga",
    "by_operators": False,
    "began_at": "2026-11-27T09:00:00Z",
    "ended_at": None,
}
AUDITED: dict[str, Any] = {
    "id": 812,
    "at": "2026-11-27T09:00:31.112Z",
    "tenant": "acme",
    "subject": "ana",
    "key_id": "k7f3",
    "door": "http",
    "origin": "10.0.4.17",
    "operation": "cancel",
    "task_id": ID,
    "target": None,
    "data": {"reason": "not needed any more"},
    "answer": "accepted",
}
LOGGED: dict[str, Any] = {
    "seq": 41,
    "at": "2026-11-27T09:01:39Z",
    "level": "warning",
    "logger": "acme.agents",
    "message": "the first draft was too long",
    "step": "outline",
    "step_number": 0,
    "run": 1,
}
EVENT: dict[str, Any] = {
    "task_id": ID,
    "seq": 1,
    "type": "submitted",
    "data": {"agent": "writer", "step": "outline"},
    "at": "2026-11-27T09:00:00Z",
}
_STREAM = f"id: 1\nevent: submitted\ndata: {json.dumps(EVENT)}\n\nevent: end\ndata: {{}}\n\n"

REQUESTS: dict[str, Any] = {
    "submit": {"agent": "writer", "input": {"topic": "tides"}, "metadata": {"ticket": 7}},
    "cancel": {"reason": "not needed any more"},
    "signal": {"payload": {"ok": True, "by": "ana"}, "signal_id": "mail-123"},
    "resume": {"budget": {"seconds": 300.0}},
    "schedule": {
        "agent": "writer",
        "input": {"topic": "tides"},
        "cron": "0 7 * * 1-5",
        "timezone": "Europe/Berlin",
    },
    "put_alert": {"kind": "waiting", "threshold": 14_400, "agent": "writer", "waits_for": "signal"},
    "put_webhook": {
        "url": "https://billing.acme.example/agent-tasks",
        "types": ["task.completed", "task.failed"],
    },
    "pause_schedule": {"reason": "the provider is down"},
    "pause": {"reason": "its input is being mended"},
    "begin_pause": {"agent": "writer", "reason": "spends too much"},
    "bulk": {"operation": "cancel", "filter": {"agent": "writer", "metadata": {"batch": 7}}, "reason": "wrong"},
    "purge": {"subject": "ana", "tenant": "acme", "cancel": True},
    "rotate_webhook": {"overlap": 3600.0},
    "replay_deliveries": {"webhook": "billing", "after": "2026-11-27T09:00:00Z"},
}
"""The body of a request, by operation."""
PARAMETERS: dict[str, Any] = {
    "id": ID,
    "name": "approval",
    "token": "h1.WyIwMTk4YzJmNDVhOWU3YzMxOWE1MTNmMGMxYzFmMmI3NyIsImFwcHJvdmFsIl0.c2lnbmF0dXJl",
    "status": "waiting",
    "agent": "writer",
    "tenant": "acme",
    "subject": "ana",
    "session_id": "chat-12",
    "limit": 100,
    "kind": "signal",
    "root": False,
    "ended": False,
    "Idempotency-Key": "order-7",
    "Prefer": ["wait=10"],
    "Last-Event-ID": "1",
    "after": "AZjC9FqefDGaUT8MHB8rd9jL",
    "webhook": "billing",
    "task_id": ID,
    "type": "task.completed",
    "step": "publish",
    "queue": "agents",
    "error_type": "step_failed",
    **{f"{what}_after": "2026-11-27T09:00:00Z" for what in ("created", "ended")},
    **{f"{what}_before": "2026-11-28T09:00:00Z" for what in ("created", "ended")},
    "metadata": ["ticket=7"],
    "text": "rate limit",
    "by": ["tenant", "day"],
    "since": "2026-11-27T00:00:00Z",
    "until": "2026-11-28T00:00:00Z",
    "model": "gpt-5-mini",
    "operation": "cancel",
    "door": "http",
}
"""By name, for all operations."""
_OF_SCHEDULES = {"name": SCHEDULE["name"]}
_OF_WEBHOOKS = {"name": "billing"}
PARAMETERS_OF: dict[str, dict[str, Any]] = {
    "get_events": {"after": 1},
    "get_audit": {"after": 813, "limit": 50},
    "get_logs": {"after": 40},
    "list_pauses": {"after": 43},
    **dict.fromkeys(
        ("schedule", "get_schedule", "unschedule", "pause_schedule", "unpause_schedule", "trigger_schedule"),
        _OF_SCHEDULES,
    ),
    **{f"{what}_webhook": _OF_WEBHOOKS for what in ("put", "get", "remove", "rotate", "enable", "disable", "ping")},
    **{f"{what}_alert": {"name": "approvals"} for what in ("put", "get", "remove")},
    "list_deliveries": {"status": "failed"},
}
"""By operation and name, where those of a name differ."""

_AGAIN = {"Retry-After": "1", "RateLimit": '"default";r=0;t=1', "RateLimit-Policy": '"default";q=1000;w=1'}
_PROBLEMS: dict[int, problems.Answer] = {
    400: problems.of_refusal(
        Refused(
            400,
            "invalid_json",
            "The body is not JSON that can be kept",
            "The body is not JSON: Expecting value at line 1, column 11. Send JSON by RFC 8259.",
        )
    ),
    401: problems.of_unauthenticated(
        Unauthenticated("Send `Authorization: Bearer <token>` with an API key.", token_given=False)
    ),
    403: problems.of_error(
        PermissionDenied("This takes the scope 'tasks:write', which the token has not.", scope="tasks:write")
    ),
    404: problems.of_error(TaskNotFound(f"No task {ID}, or none that 'ana' may see.")),
    408: problems.of_refusal(
        Refused(
            408,
            "request_timeout",
            "The body did not come in time",
            "17 bytes of the body came in 30 s. Send the request again, faster, or smaller.",
        )
    ),
    409: problems.of_error(InvalidState(f"Task {ID} has ended as completed.")),
    410: problems.of_error(
        HookClosed("This was answered at 09:04 UTC on 27 November 2026: it takes one answer.", why="used")
    ),
    413: problems.of_refusal(
        Refused(
            413,
            "body_too_large",
            "The body is too large",
            "The body is 5,000,000 bytes; the limit is 2,097,152 bytes. Store what is large elsewhere (a bucket, a "
            "table) and pass its address, or raise AGENT_TASKS_GATEWAY_BODY_LIMIT.",
        )
    ),
    415: problems.of_refusal(
        Refused(
            415,
            "unsupported_media_type",
            "The body is of another kind",
            "The body must be JSON, and its Content-Type is 'text/plain'. Send it with Content-Type: application/json.",
            "content-type",
        )
    ),
    422: problems.of_error(InvalidInput("writer.outline: topic: Field required", field="topic")),
    424: problems.of_failed_task(TaskCancelled("not needed any more", reason="not needed any more")),
    429: problems.of_refusal(
        Refused(
            429,
            "rate_limited",
            "Too many requests",
            "The tenant 'acme' has used up its 1000 requests. Try again in 1 s.",
            headers=_AGAIN,
        )
    ),
    500: problems.of_bug(),
    503: problems.of_away(),
}
BODY = (400, 408, 413, 415)


_OF_ALL = (401, 403, 422, 429, 500, 503)


def answers(ok: Responses, *statuses: int, of_all: tuple[int, ...] = _OF_ALL, **own: problems.Answer) -> Responses:
    """What an operation answers: where it goes well, and its problems beside those of every operation.

    `own`: problems that are its own, as in `of_404`.
    """
    known = {**_PROBLEMS, **{int(name.removeprefix("of_")): problem for name, problem in own.items()}}
    failures: Responses = {
        status: {
            "description": (document := json.loads(bytes(known[status].body)))["title"],
            "model": Problem,
            "headers": headers.of_problem(status),
            "content": {MEDIA_TYPE: {"example": document}},
        }
        for status in sorted({*of_all, *statuses, *(known.keys() - _PROBLEMS.keys())})
    }
    return {**ok, **failures}


def of(what: str, example: Any, model: type[BaseModel] | None = None, head: tuple[str, ...] = ()) -> dict[str, Any]:
    """An answer in JSON; `model` where it is not that of the operation's usual answer."""
    found = {
        "description": what,
        "headers": headers.of_answer(*head),
        "content": {"application/json": {"example": example}},
    }
    return found if model is None else {**found, "model": model}


def _open(what: str, example: Any) -> dict[str, Any]:
    """An answer of an operation that is open to all, and so has no limits to tell of."""
    return {"description": what, "content": {"application/json": {"example": example}}}


def _for_people(responses: Responses) -> Responses:
    """The same, each as a page, too."""
    for response in responses.values():
        response["content"] = {**response["content"], "text/html": _PAGE}
    return responses


def links(parameter: str, field: str, *operations: str) -> dict[str, Any]:
    """What can be done next with what an answer names."""
    return {name: {"operationId": name, "parameters": {parameter: f"$response.body#/{field}"}} for name in operations}


_TASK = ("ETag", "Cache-Control")
_GOING = (*_TASK, "Retry-After")
_OF_A_TASK = (
    *("get_task", "get_result", "get_events", "get_children", "get_calls", "get_logs", "get_tree"),
    *("cancel", "signal", "resume", "acknowledge", "pause", "unpause"),
)
_NEW = {"links": links("id", "id", *_OF_A_TASK)}
CALL = {
    "step_number": 0,
    "ordinal": 0,
    "name": "complete",
    "status": "completed",
    "attempts": 1,
    "tokens": 1200,
    "usd": 0.0135,
    "started_at": "2026-11-27T09:01:38Z",
    "finished_at": "2026-11-27T09:01:40Z",
}
_HOOK = {
    "signal": "approval",
    "agent": "writer",
    "goal": "Writes about a topic.",
    "waiting": True,
    "since": "2026-11-27T09:01:40Z",
    "until": "2026-11-29T09:01:40Z",
    "payload_schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]},
    "once": True,
    "verify": None,
}
_TAKEN = {"kept": True, "delivered": True}
_RECEIPT = {"kept": True, "delivered": True, "waiting_for": [], "unserved": None}
_PAGE = {"schema": {"type": "string"}, "example": "<!doctype html>"}
HOOK_BODY: dict[str, Any] = {
    "requestBody": {
        "description": "What the step that waits gets, as JSON; or the form of the page.",
        "content": {
            "application/json": {"schema": {}, "example": {"ok": True}},
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "properties": {"key": {"type": "string"}}},
                "example": {"answer.ok": "true"},
            },
        },
    }
}
_ACCEPTED = of("The task goes on.", PENDING, TaskSnapshot, (*_GOING, "Location"))
_SCHEDULE = of("The schedule.", SCHEDULE)

submit = answers(
    {
        202: of("The task is accepted.", SUBMITTED, None, (*_GOING, "Location", "Preference-Applied")) | _NEW,
        200: of("The task has ended.", WAITED_FOR, Submitted, (*_TASK, "Location", "Preference-Applied")) | _NEW,
    },
    409,
    *BODY,
)
get_task = answers(
    {
        200: of("The task.", PENDING, None, _GOING),
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
get_events = answers(
    {200: of("A page of events, and the number to go on from.", {"events": [EVENT], "next": 1}, None, ("Vary",))},
    400,
    404,
)
get_events[200]["content"]["text/event-stream"] = {"schema": {"type": "string"}, "example": _STREAM}
get_tree = answers({200: of("The tree.", {"snapshot": PENDING, "children": []})}, 404)
cancel = answers({200: of("The task, which has ended, or ends.", CANCELLED, None, _GOING)}, 404, *BODY)
signal = answers(
    {200: of("What became of the signal.", _RECEIPT)},
    404,
    409,
    *BODY,
)
resume = answers(
    {202: of("The new task.", {**PENDING, "resumed_from": ID}, None, (*_GOING, "Location")) | _NEW}, 404, 409, *BODY
)
acknowledge = answers({200: of("The task.", COMPLETED, None, _TASK)}, 404, 409)
_HELD = {
    "kind": "task",
    "name": ID,
    "since": "2026-11-27T09:00:00Z",
    "by": "ana",
    "reason": "its input is being mended",
}
pause = answers({200: of("The task.", {**PENDING, "paused": _HELD}, None, _GOING)}, 404, 409, *BODY)
unpause = answers({200: of("The task.", PENDING, None, _GOING)}, 404, 409)
list_pauses = answers({200: of("A page.", {"pauses": [PAUSE], "next": None})})
begin_pause = answers({200: of("The pause.", PAUSE)}, 409, *BODY)
end_pause = answers({200: of("The pause.", {**PAUSE, "ended_at": "2026-11-27T09:41:00Z"})}, 409)
list_tasks = answers({200: of("A page.", {"tasks": [PENDING], "next": None})})
get_children = answers({200: of("A page.", {"tasks": [], "next": None})}, 404)
get_calls = answers({200: of("A page.", {"calls": [CALL], "next": None})}, 404)
get_logs = answers({200: of("A page.", {"logs": [LOGGED], "next": 41})}, 404)
bulk = answers(
    {202: of("It has begun, or was counted.", BULK) | {"links": links("id", "id", "get_bulk", "stop_bulk")}}, *BODY
)
list_bulks = answers({200: of("The operations.", {"bulks": [BULK]})})
get_bulk = answers({200: of("The operation.", BULK)}, 404)
stop_bulk = answers(
    {200: of("The operation.", {**BULK, "status": "stopped", "finished_at": "2026-11-27T09:00:04Z"})}, 404
)
_PURGED = {
    "dry_run": False,
    "tasks": 12,
    "cancelled": 1,
    "tables": {"calls": 31, "checkpoints": 20, "events": 118, "tasks": 12},
    "kept": [],
}
purge = answers({200: of("What was deleted.", _PURGED)}, 404, 409, *BODY)
get_audit = answers({200: of("A page.", {"entries": [AUDITED], "next": None})})
list_waiting = answers({200: of("Those that wait.", {"tasks": [WAITING]})})
get_spend = answers({200: of("The sums.", {"spend": [SPENT]})}, 403)
list_agents = answers({200: of("The agents.", {"agents": [AGENT]})})
schedule = answers({200: _SCHEDULE | {"links": links("name", "name", "get_schedule", "unschedule")}}, *BODY)
list_schedules = answers({200: of("The schedules.", {"schedules": [SCHEDULE]})})
get_schedule = answers({200: _SCHEDULE}, 404)
_PAUSED = {
    **SCHEDULE,
    "paused_at": "2026-11-27T09:00:00Z",
    "paused_by": "ana",
    "paused_reason": "the provider is down",
}
pause_schedule = answers({200: of("The schedule.", _PAUSED)}, 404, *BODY)
unpause_schedule = answers({200: _SCHEDULE}, 404)
trigger_schedule = answers({202: of("The new task.", PENDING, None, (*_GOING, "Location")) | _NEW}, 404)
unschedule = answers({204: {"description": "It is forgotten.", "headers": headers.of_answer()}}, 404)
get_metrics = answers(
    {
        200: {
            "description": "The metrics.",
            "headers": headers.of_answer(),
            "content": {
                "text/plain": {"example": "# TYPE agent_tasks_claims_total counter\nagent_tasks_claims_total 7.0\n"}
            },
        }
    }
)
show_hook = _for_people(answers({200: of("What is asked.", _HOOK)}, 404, 410, of_all=(422, 429, 500, 503)))
answer_hook = _for_people(
    answers({200: of("What became of the answer.", _TAKEN)}, 404, 409, 410, *BODY, of_all=(403, 422, 429, 500, 503))
)
healthz: Responses = {200: _open("It lives.", {"status": "ok"})}
_READY = {"postgres": "ok", "redis": "ok", "schema": "ok"}
readyz: Responses = {
    200: _open("It is ready.", {"status": "ok", "checks": _READY}),
    503: _open("It is not.", {"status": "unavailable", "checks": {**_READY, "redis": "cannot be reached"}})
    | {"model": Readiness},
}
