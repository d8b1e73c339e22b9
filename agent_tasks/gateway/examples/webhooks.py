"""Examples for the OpenAPI document: of webhooks, what they tell, and what there was to tell."""

from typing import Any

from agent_tasks.client.delivery import not_found
from agent_tasks.errors import InvalidState, TaskNotFound
from agent_tasks.gateway import headers, problems
from agent_tasks.gateway.examples.answers import BODY, ID, answers, links, of

_DELIVERY_ID = "5b0a6c1e-3f5e-4c0e-9d2b-8f1c2a7d4e10"
_EVENT_ID = f"evt_{ID.replace('-', '')}_9"
DELIVERY: dict[str, Any] = {
    "id": _DELIVERY_ID,
    "webhook": "billing",
    "url": "https://billing.acme.example/agent-tasks",
    "event_id": _EVENT_ID,
    "task_id": ID,
    "sequence": 9,
    "type": "task.completed",
    "tenant": "acme",
    "subject": "ana",
    "status": "failed",
    "attempt": 10,
    "due_at": None,
    "answer": 503,
    "error": "answered 503",
    "created_at": "2026-11-27T09:02:11.310Z",
    "last_at": "2026-11-30T12:12:40.127Z",
    "ended_at": "2026-11-30T12:12:40.353Z",
}
FEED_EVENT: dict[str, Any] = {
    "id": _EVENT_ID,
    "type": "task.completed",
    "timestamp": "2026-11-27T09:02:11.310Z",
    "data": {
        "task_id": ID,
        "agent": "writer",
        "status": "completed",
        "version": 9,
        "sequence": 9,
        "link": f"https://agents.acme.example/tasks/{ID}",
    },
}
_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
WEBHOOK: dict[str, Any] = {
    "id": "0198c2f0-11aa-7e02-8c3f-7a5b2d9e4f10",
    "name": "billing",
    "tenant": "acme",
    "subject": None,
    "url": "https://billing.acme.example/agent-tasks",
    "types": ["task.completed", "task.failed"],
    "agents": None,
    "payload": "thin",
    "ordered": True,
    "created_at": "2026-11-27T08:59:02.118Z",
    "disabled_at": None,
    "disabled_why": None,
    "failing_since": None,
    "rotating_until": None,
    "secret": None,
}
_DISABLED_ONE = {**WEBHOOK, "disabled_at": "2026-12-01T08:00:00Z", "disabled_why": "asked"}
_ROTATED = {**WEBHOOK, "secret": _SECRET, "rotating_until": "2026-12-02T08:00:00Z"}
_PING = {
    **DELIVERY,
    **{"event_id": "evt_4711", "task_id": None, "sequence": None, "type": "webhook.ping", "subject": None},
    **{"status": "pending", "attempt": 0, "due_at": "2026-12-01T08:00:00Z", "answer": None, "error": None},
    **{"created_at": "2026-12-01T08:00:00Z", "last_at": None, "ended_at": None},
}
_NO_ENDPOINT = problems.of_error(TaskNotFound("No endpoint is named 'billing', or it belongs to another."))
_AGAIN = {
    **DELIVERY,
    **{"id": "e1d0a4f2-6b7c-4a91-8c55-0f9d3b2e7a64", "status": "pending", "attempt": 0},
    **{"due_at": "2026-12-01T08:00:00Z", "answer": None, "error": None, "last_at": None, "ended_at": None},
    "created_at": "2026-12-01T08:00:00Z",
}
_NEW = {"links": links("id", "id", "get_delivery", "replay_delivery")}
_UNKNOWN = problems.of_error(not_found(_DELIVERY_ID))
_DISABLED = problems.of_error(InvalidState("The endpoint 'billing' is disabled. Enable it first.", why="disabled"))

list_deliveries = answers({200: of("A page.", {"deliveries": [DELIVERY], "next": None})}, 404)
get_delivery = answers({200: of("The delivery.", DELIVERY)}, 404, of_404=_UNKNOWN)
replay_delivery = answers(
    {202: of("The new delivery, or the one that is still to be made.", _AGAIN) | _NEW},
    404,
    409,
    of_404=_UNKNOWN,
    of_409=_DISABLED,
)
replay_deliveries = answers(
    {202: of("How many events are delivered again.", {"replayed": 17})},
    *(404, 409, *BODY),
    of_404=_NO_ENDPOINT,
    of_409=_DISABLED,
)
_WITH_NAME = ("get", "remove", "rotate", "enable", "disable", "ping")
_REGISTERED = of("The endpoint, with its secret.", {**WEBHOOK, "secret": _SECRET})
put_webhook = answers(
    {200: _REGISTERED | {"links": links("name", "name", *(f"{what}_webhook" for what in _WITH_NAME))}}, *BODY
)
list_webhooks = answers({200: of("The endpoints.", {"webhooks": [WEBHOOK]})})
get_webhook = answers({200: of("The endpoint.", WEBHOOK)}, 404, of_404=_NO_ENDPOINT)
remove_webhook = answers(
    {204: {"description": "It is removed.", "headers": headers.of_answer()}}, 404, of_404=_NO_ENDPOINT
)
rotate_webhook = answers({200: of("The endpoint, with its new secret.", _ROTATED)}, 404, *BODY, of_404=_NO_ENDPOINT)
enable_webhook = answers({200: of("The endpoint.", WEBHOOK)}, 404, of_404=_NO_ENDPOINT)
disable_webhook = answers({200: of("The endpoint.", _DISABLED_ONE)}, 404, of_404=_NO_ENDPOINT)
ping_webhook = answers({202: of("The delivery.", _PING) | _NEW}, 404, 409, of_404=_NO_ENDPOINT, of_409=_DISABLED)
get_feed = answers(
    {200: of("A page.", {"events": [FEED_EVENT], "next": "AAAAAAAAnkEAAAAAAAAAjQAGRhAlR2jIWjOo", "more": False})}
)
