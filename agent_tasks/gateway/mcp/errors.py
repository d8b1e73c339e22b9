"""Errors as JSON-RPC has them, and as answers over HTTP where a message comes no further than the door."""

import json
import logging
from collections.abc import Mapping
from typing import Any, cast

from mcp import types
from mcp.shared.exceptions import MCPError
from starlette.responses import Response

from agent_tasks.errors import AgentTaskError, InvalidInput, PayloadTooLarge, PermissionDenied, TaskNotFound
from agent_tasks.gateway import problems
from agent_tasks.gateway.credentials import Unauthenticated
from agent_tasks.gateway.refusals import Refused
from agent_tasks.store.errors import Transient

log = logging.getLogger(__name__)
TASKS = "io.modelcontextprotocol/tasks"
"""The extension by which a call is answered with a task."""
REFUSED = -32010
"""The code of what the gateway refuses (a token, a scope, a limit, a server away), with the typed error as `data`."""
NO_SUCH_TASK = "Failed to retrieve task: Task not found"
"""The same for a task that is somebody else's, has been deleted or never was."""


def of_error(error: Exception) -> MCPError:
    """The JSON-RPC error that tells of an error of a known kind. Raises it as it is, where it is of none."""
    if isinstance(error, TaskNotFound):
        return MCPError(types.INVALID_PARAMS, NO_SUCH_TASK)
    if not isinstance(error, AgentTaskError | Refused | Transient):
        raise error
    info = problems.of(error).document.error
    if isinstance(error, InvalidInput | PayloadTooLarge):
        code = types.INVALID_PARAMS
    elif isinstance(error, PermissionDenied | Refused | Transient) or info.retryable:
        code = REFUSED
    else:
        code = types.INTERNAL_ERROR
    return MCPError(code, info.message, info.model_dump(mode="json"))


def lacks(**capabilities: Any) -> MCPError:
    """The error that says which capability a client would have to declare for what it asks."""
    return MCPError(
        types.MISSING_REQUIRED_CLIENT_CAPABILITY,
        "Missing required client capability",
        {"requiredCapabilities": capabilities},
    )


def answer(message: Any, error: Exception, challenge: str) -> Response:
    """The answer over HTTP to a message that the door does not let through. Raises an error of no known kind.

    `challenge`: where a client finds out how to get a token, as parameters of WWW-Authenticate.
    """
    if isinstance(error, Unauthenticated):
        told, status = problems.of_unauthenticated(error), 401
        headers = {"WWW-Authenticate": _with(error.challenge, challenge)}
        found = MCPError(REFUSED, told.document.error.message, told.document.error.model_dump(mode="json"))
    else:
        found = of_error(error)
        told = problems.of(cast("AgentTaskError | Refused | Transient", error))
        status, headers = told.status_code, _kept(told.headers)
        if isinstance(error, PermissionDenied):
            scope = error.details.get("scope")
            said = f'Bearer error="insufficient_scope", scope="{scope}"' if scope else "Bearer"
            headers["WWW-Authenticate"] = _with(said, challenge)
    told.count()
    return written(message, status, found, headers)


def written(message: Any, status: int, error: MCPError, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON-RPC error as an answer, with the id of the message where that has one."""
    said = cast(dict[str, Any], message) if isinstance(message, dict) else {}
    given = said.get("id")
    id = given if isinstance(given, str | int) and not isinstance(given, bool) else None
    body = {"jsonrpc": "2.0", "id": id, "error": error.error.model_dump(mode="json", exclude_none=True)}
    return Response(json.dumps(body), status, headers, "application/json")


def _with(said: str, challenge: str) -> str:
    return f"{said}{',' if ' ' in said else ''} {challenge}"


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in ("content-type", "content-length")}
