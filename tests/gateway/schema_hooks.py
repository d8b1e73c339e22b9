"""What the OpenAPI document cannot say of one deployment, for Schemathesis (by SCHEMATHESIS_HOOKS)."""

from typing import Any

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import RejectedPositiveData

AGENT = {"type": "string", "enum": ["count"]}
INPUT = {
    "type": "object",
    "properties": {"to": {"type": "integer", "minimum": 0, "maximum": 3}},
    "required": ["to"],
    "additionalProperties": False,
}
ONLY_HERE = {
    *("after", "until", "Last-Event-ID", "timezone", "cron", "callback_url", "name", "queue", "Idempotency-Key"),
    *("threshold", "window", "agent", "waits_for", "least"),
    *("filter", "all", "to", "priority", "reason", "budget", "payload", "operation"),
    *("task", "url", "types", "agents", "secret", "subject", "webhook"),
    *("metadata", "text", "created_after", "created_before", "ended_after", "ended_before", "since", "tenant"),
}
"""Fields whose right values no schema can say: cursors, numbers of events, time zones, printable names, signals, URLs,
secrets; what a bulk operation needs, which is another for each."""


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    for name in ("SubmitBody", "ScheduleBody"):
        raw_schema["components"]["schemas"][name]["properties"] |= {"agent": AGENT, "input": INPUT}
        raw_schema["components"]["schemas"][name]["required"] = ["agent", "input"]
    submit, put = raw_schema["paths"]["/tasks"]["post"], raw_schema["paths"]["/schedules/{name}"]["put"]
    for operation in (submit, put):
        operation["requestBody"]["content"]["application/json"]["example"] |= {"agent": "count", "input": {"to": 2}}


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext, failure: Failure, case: "schemathesis.Case[Any]", response: schemathesis.Response
) -> bool:
    """Leave out that a request of the documented form was refused for what only this deployment knows.

    That is also a task that has ended without a result, a key that another request has used, and 1.0, which is a whole
    number to JSON Schema and none to us.
    """
    if isinstance(failure, AcceptedNegativeData):
        return not _is_a_larger_count(case.body)
    if not isinstance(failure, RejectedPositiveData) or response.status_code not in (400, 422, 424):
        return True
    problem = response.json()
    return not (
        response.status_code == 424
        or problem["field"] in ONLY_HERE
        or "task_id" in problem["error"]["details"]
        or problem["detail"].endswith("should be a valid integer")
    )


def _is_a_larger_count(body: Any) -> bool:
    """Whether the agent is to count further than it is asked to here, which it does."""
    found = body.get("input") if isinstance(body, dict) else None
    return isinstance(found, dict) and type(found.get("to")) is int
