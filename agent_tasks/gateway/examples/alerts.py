"""Examples for the OpenAPI document: of alerts."""

from typing import Any

from agent_tasks.client.alerts import no_alert
from agent_tasks.gateway import headers, problems
from agent_tasks.gateway.examples.answers import BODY, ID, answers, links, of

ALERT: dict[str, Any] = {
    "name": "approvals",
    "tenant": "acme",
    "everywhere": False,
    "kind": "waiting",
    "threshold": 14_400.0,
    "window": None,
    "agent": "writer",
    "queue": None,
    "waits_for": "signal",
    "least": None,
    "unknown_agent": False,
    "created_at": "2026-11-27T08:59:02.118Z",
    "state": "firing",
    "since": "2026-11-27T13:00:09.720Z",
    "value": 14_406.3,
    "found": {"task_id": ID, "agent": "writer", "queue": "agents"},
    "checked_at": "2026-11-27T13:00:09.720Z",
}
_NONE = problems.of_error(no_alert("approvals"))

put_alert = answers(
    {200: of("The alert.", ALERT) | {"links": links("name", "name", "get_alert", "remove_alert")}}, *BODY
)
list_alerts = answers({200: of("The alerts.", {"alerts": [ALERT]})})
get_alert = answers({200: of("The alert.", ALERT)}, 404, of_404=_NONE)
remove_alert = answers({204: {"description": "It is removed.", "headers": headers.of_answer()}}, 404, of_404=_NONE)
