"""Examples for the OpenAPI document: of hooks, which are answered from outside."""

from typing import Any

from agent_tasks.gateway.examples.answers import BODY, Responses, answers, of

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


def _for_people(responses: Responses) -> Responses:
    """The same, each as a page, too."""
    for response in responses.values():
        response["content"] = {**response["content"], "text/html": _PAGE}
    return responses


show_hook = _for_people(answers({200: of("What is asked.", _HOOK)}, 404, 410, of_all=(422, 429, 500, 503)))
answer_hook = _for_people(
    answers({200: of("What became of the answer.", _TAKEN)}, 404, 409, 410, *BODY, of_all=(403, 422, 429, 500, 503))
)
