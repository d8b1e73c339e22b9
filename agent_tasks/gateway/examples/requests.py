"""Examples for the OpenAPI document: of the bodies and the parameters of requests."""

from typing import Any

from agent_tasks.gateway.examples.answers import ID
from agent_tasks.gateway.examples.schedules import SCHEDULE

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
