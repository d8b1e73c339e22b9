"""The OpenAPI document, where FastAPI's own does not say what is so."""

from typing import Any

from fastapi import FastAPI

from agent_tasks.gateway.examples import requests
from agent_tasks.gateway.examples.answers import Responses
from agent_tasks.gateway.operations import OPERATIONS
from agent_tasks.gateway.problems import MEDIA_TYPE

_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key (`agent-tasks keys create`), or a JWT of the issuer that the deployment trusts.",
}
_TAGS = {
    "tasks": "Tasks, from their submit to their end.",
    "agents": "What can be asked for.",
    "schedules": "Tasks that are submitted again and again.",
    "webhooks": "What is told to endpoints of yours, and what there was to tell.",
    "bulk": "One thing done to many tasks.",
    "pauses": "What begins no more steps for a while.",
    "alerts": "Rules that say when a person is to look.",
    "audit": "Who wrote what.",
    "hooks": "Answers from outside, by a URL that a step has made.",
    "health": "Whether the gateway lives, can serve, and what it has served.",
}
_TAG = {
    **{"waiting": "tasks", "spend": "tasks", "purge": "tasks", "deliveries": "webhooks", "events": "webhooks"},
    **{"healthz": "health", "readyz": "health", "metrics": "health"},
}
"""Of the paths that do not begin with their tag."""
_AS_WRITTEN = {"idempotency-key": "Idempotency-Key", "prefer": "Prefer", "last-event-id": "Last-Event-ID"}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of a version that is known: 304 where the task has not changed.",
    "schema": {"type": "string"},
    "example": '"4"',
}
_TRACEPARENT = {
    "name": "traceparent",
    "in": "header",
    "required": False,
    "description": "The trace that the task becomes a part of (W3C Trace Context); ignored where it is none.",
    "schema": {"type": "string"},
    "example": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}
_MORE = {"get_task": [_IF_NONE_MATCH], "submit": [_TRACEPARENT]}
"""Headers that are read as they are."""


def install(app: FastAPI) -> None:
    """Have the app's document say what FastAPI does not know, or leaves out."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _corrected(made(), app)
        return app.openapi_schema

    app.openapi = openapi


def _corrected(document: dict[str, Any], app: FastAPI) -> dict[str, Any]:
    document["components"]["securitySchemes"] = {"bearer": _BEARER}
    document["tags"] = [{"name": name, "description": what} for name, what in _TAGS.items()]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            name, first = operation["operationId"], path.split("/")[1]
            operation["tags"] = [_TAG.get(first, first)]
            if (known := OPERATIONS.get(name)) is not None:
                operation["security"] = [{"bearer": []}]
                operation["x-scope"] = known.scope
            for parameter in operation.get("parameters", []):
                _correct_parameter(parameter, name)
            if more := _MORE.get(name):
                operation.setdefault("parameters", []).extend(more)
            if name in requests.REQUESTS:
                operation["requestBody"]["content"]["application/json"]["example"] = requests.REQUESTS[name]
    for route in app.state.routes:
        if not route.include_in_schema:
            continue
        for method in route.methods:
            _restore(document["paths"][route.path_format][method.lower()]["responses"], route.responses)
    return document


def _correct_parameter(parameter: dict[str, Any], operation: str) -> None:
    """What is left out is not null; a task's id is a UUID; names of headers are written as everywhere else."""
    name = str(_AS_WRITTEN.get(parameter["name"], parameter["name"]))
    parameter["name"] = name
    schema = parameter["schema"]
    others = [each for each in schema.pop("anyOf", []) if each != {"type": "null"}]
    if len(others) == 1:
        schema |= others[0]
    schema.pop("description", None)
    if name in ("id", "task_id"):
        schema["format"] = "uuid"
        parameter.setdefault("description", "The task's.")
    of_operation = requests.PARAMETERS_OF.get(operation, {})
    parameter["example"] = of_operation[name] if name in of_operation else requests.PARAMETERS[name]


def _restore(responses: dict[str, Any], given: Responses) -> None:
    """Give problems their media type, and examples their nulls, which FastAPI takes out."""
    for status, response in given.items():
        content = responses[str(status)].get("content", {})
        if MEDIA_TYPE in content:
            usual = next(kind for kind in content if kind not in (MEDIA_TYPE, "text/html"))
            content[MEDIA_TYPE]["schema"] = content.pop(usual)["schema"]
        for kind, example in response.get("content", {}).items():
            content[kind]["example"] = example["example"]
