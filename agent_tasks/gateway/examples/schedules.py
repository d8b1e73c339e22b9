"""Examples for the OpenAPI document: of schedules."""

from typing import Any

from agent_tasks.gateway import headers
from agent_tasks.gateway.examples.answers import BODY, answers, links, of
from agent_tasks.gateway.examples.tasks import GOING, NEW, PENDING

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
_SCHEDULE = of("The schedule.", SCHEDULE)
_PAUSED = {
    **SCHEDULE,
    "paused_at": "2026-11-27T09:00:00Z",
    "paused_by": "ana",
    "paused_reason": "the provider is down",
}
schedule = answers({200: _SCHEDULE | {"links": links("name", "name", "get_schedule", "unschedule")}}, *BODY)
list_schedules = answers({200: of("The schedules.", {"schedules": [SCHEDULE]})})
get_schedule = answers({200: _SCHEDULE}, 404)
pause_schedule = answers({200: of("The schedule.", _PAUSED)}, 404, *BODY)
unpause_schedule = answers({200: _SCHEDULE}, 404)
trigger_schedule = answers({202: of("The new task.", PENDING, None, (*GOING, "Location")) | NEW}, 404)
unschedule = answers({204: {"description": "It is forgotten.", "headers": headers.of_answer()}}, 404)
