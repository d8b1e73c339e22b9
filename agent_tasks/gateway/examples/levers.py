"""Examples for the OpenAPI document: of what operators do to many tasks: pauses, bulk operations and purging."""

from typing import Any

from agent_tasks.gateway.examples.answers import BODY, ID, answers, links, of
from agent_tasks.gateway.examples.tasks import GOING, PENDING

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
_HELD = {
    "kind": "task",
    "name": ID,
    "since": "2026-11-27T09:00:00Z",
    "by": "ana",
    "reason": "its input is being mended",
}
pause = answers({200: of("The task.", {**PENDING, "paused": _HELD}, None, GOING)}, 404, 409, *BODY)
unpause = answers({200: of("The task.", PENDING, None, GOING)}, 404, 409)
list_pauses = answers({200: of("A page.", {"pauses": [PAUSE], "next": None})})
begin_pause = answers({200: of("The pause.", PAUSE)}, 409, *BODY)
end_pause = answers({200: of("The pause.", {**PAUSE, "ended_at": "2026-11-27T09:41:00Z"})}, 409)

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
