"""Examples for the OpenAPI document: of what a task leaves: events, calls and log lines."""

import json
from typing import Any

from agent_tasks.gateway.examples.answers import ID, answers, of

EVENT: dict[str, Any] = {
    "task_id": ID,
    "seq": 1,
    "type": "submitted",
    "data": {"agent": "writer", "step": "outline"},
    "at": "2026-11-27T09:00:00Z",
}
_STREAM = f"id: 1\nevent: submitted\ndata: {json.dumps(EVENT)}\n\nevent: end\ndata: {{}}\n\n"
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
get_events = answers(
    {200: of("A page of events, and the number to go on from.", {"events": [EVENT], "next": 1}, None, ("Vary",))},
    400,
    404,
)
get_events[200]["content"]["text/event-stream"] = {"schema": {"type": "string"}, "example": _STREAM}
get_calls = answers({200: of("A page.", {"calls": [CALL], "next": None})}, 404)
get_logs = answers({200: of("A page.", {"logs": [LOGGED], "next": 41})}, 404)
