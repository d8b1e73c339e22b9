"""The OpenAPI document, where FastAPI's own does not say what is so."""

from typing import Any

from fastapi import FastAPI

from agent_tasks.gateway.operations import OPERATIONS
from agent_tasks.gateway.problems import MEDIA_TYPE

_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key (`agent-tasks keys create`), or a JWT of the issuer that the deployment trusts.",
}


def install(app: FastAPI) -> None:
    """Have the app's document say that problems are problem documents, and which token an operation takes."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _corrected(made())
        return app.openapi_schema

    app.openapi = openapi


def _corrected(document: dict[str, Any]) -> dict[str, Any]:
    document["components"]["securitySchemes"] = {"bearer": _BEARER}
    for operations in document["paths"].values():
        for operation in operations.values():
            if (known := OPERATIONS.get(operation["operationId"])) is not None:
                operation["security"] = [{"bearer": []}]
                operation["x-scope"] = known.scope
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if status >= "400" and MEDIA_TYPE in content:
                    content[MEDIA_TYPE]["schema"] = content.pop("application/json")["schema"]
    return document
