"""Requests to an MCP server: a call of a tool, and those of the extension for tasks."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal

from mcp import types
from mcp.client import Client, ClientSession, advertise
from mcp.client.streamable_http import streamable_http_client
from mcp_types.version import LATEST_MODERN_VERSION
from pydantic import Field, RootModel

from agent_tasks.authoring.peers.peer import Peer
from agent_tasks.wires.mcp_errors import of_rpc, told_as_ours
from agent_tasks.wires.mcp_http import client, prepare

__all__ = ["call", "cancel", "error_of", "get", "prepare", "update"]
TASKS = "io.modelcontextprotocol/tasks"


class _Json(RootModel[dict[str, Any]]):
    """A result as it came, with all that other versions and extensions say in it."""


class _TaskParams(types.RequestParams):
    task_id: str = Field(alias="taskId")


class _UpdateParams(_TaskParams):
    input_responses: dict[str, Any] = Field(alias="inputResponses")


class _Get(types.Request[_TaskParams, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    name_param = "taskId"


class _Update(types.Request[_UpdateParams, Literal["tasks/update"]]):
    method: Literal["tasks/update"] = "tasks/update"
    name_param = "taskId"


class _Cancel(types.Request[_TaskParams, Literal["tasks/cancel"]]):
    method: Literal["tasks/cancel"] = "tasks/cancel"
    name_param = "taskId"


async def call(server: Peer, headers: dict[str, str], params: dict[str, Any]) -> dict[str, Any]:
    """Call a tool, by whatever version the server speaks; `params` as in the protocol. Returns the result as JSON:
    the tool's, a task's that the server has begun, or what the server asks first."""
    async with _session(server, headers, "auto") as session:
        asked = types.CallToolRequest(params=types.CallToolRequestParams.model_validate(params))
        return await _ask(session, asked)


async def get(server: Peer, headers: dict[str, str], task_id: str) -> dict[str, Any]:
    """Return a task as it stands."""
    async with _session(server, headers, LATEST_MODERN_VERSION) as session:
        return await _ask(session, _Get(params=_TaskParams(taskId=task_id)))


async def update(server: Peer, headers: dict[str, str], task_id: str, responses: dict[str, Any]) -> None:
    """Answer what a task asks for."""
    async with _session(server, headers, LATEST_MODERN_VERSION) as session:
        await _ask(session, _Update(params=_UpdateParams(taskId=task_id, inputResponses=responses)))


async def cancel(server: Peer, headers: dict[str, str], task_id: str) -> None:
    """Ask the server to cancel a task."""
    async with _session(server, headers, LATEST_MODERN_VERSION) as session:
        await _ask(session, _Cancel(params=_TaskParams(taskId=task_id)))


def error_of(error: dict[str, Any], url: str) -> Exception:
    """Return the error with which a task failed."""
    code = error.get("code")
    return of_rpc(code if isinstance(code, int) else 0, str(error.get("message")), error.get("data"), url)


@asynccontextmanager
async def _session(server: Peer, headers: dict[str, str], mode: str) -> AsyncGenerator[ClientSession]:
    with told_as_ours(server.url, server.timeout):
        async with (
            asyncio.timeout(server.timeout),
            client(server, headers) as http,
            Client(
                streamable_http_client(server.url, http_client=http, max_sse_event_size=server.answer_bytes),
                mode=mode,
                cache=None,
                elicitation_callback=_not_in_a_request,
                extensions=[advertise(TASKS)],
            ) as connected,
        ):
            yield connected.session


async def _ask(session: ClientSession, request: Any) -> dict[str, Any]:
    return (await session.send_request(request, _Json)).root


async def _not_in_a_request(context: Any, params: Any) -> types.ErrorData:
    """Refuse to ask a person while a request is open, as servers did before 2026: no worker waits for an answer."""
    return types.ErrorData(code=types.INVALID_REQUEST, message="Nobody can be asked while the request is open")
