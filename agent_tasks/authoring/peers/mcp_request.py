"""The request that calls a tool. What the server begins by it is cancelled there, where ours has ended meanwhile."""

import asyncio
import logging
from typing import Any

from agent_tasks.authoring.calls.operations import Operations
from agent_tasks.authoring.calls.writes import durably
from agent_tasks.authoring.peers.carried import Caller
from agent_tasks.authoring.peers.mcp_server import McpServer
from agent_tasks.authoring.peers.wire import wire
from agent_tasks.errors import AgentTaskError

log = logging.getLogger(__name__)
_GRACE_SECONDS = 5.0
"""How long the answer to a request is waited for whose task has ended: less than a step that is stopped may take."""


async def ask(context: Caller, operations: Operations, server: McpServer, params: dict[str, Any]) -> dict[str, Any]:
    """Call a tool, and return the answer.

    A task that it names would be known to nobody where ours has ended before it came: it is cancelled at its server.
    """
    headers = await server.headers_for(context.identity)
    asking = asyncio.ensure_future((await wire("mcp")).call(server, headers, params))
    try:
        answer = await asyncio.shield(asking)
    except asyncio.CancelledError:
        if not await durably(operations.has_ended):  # the call is made again, by its key, or is not wanted any more
            asking.cancel()
            await asyncio.wait({asking})
        elif (late := await _late(asking)) is not None:
            await _cancel(context, server, late)
        raise
    if _is_task(answer) and await durably(operations.has_ended):
        await _cancel(context, server, answer)
    return answer


async def _late(asking: "asyncio.Future[dict[str, Any]]") -> dict[str, Any] | None:
    """Return the answer where it comes soon and is a task. Else the connection is closed, which cancels a request."""
    try:
        answer = await asyncio.wait_for(asking, _GRACE_SECONDS)
    except (AgentTaskError, TimeoutError):
        return None
    return answer if _is_task(answer) else None


async def _cancel(context: Caller, server: McpServer, answer: dict[str, Any]) -> None:
    try:
        await (await wire("mcp")).cancel(server, await server.headers_for(context.identity), str(answer["taskId"]))
    except AgentTaskError as error:
        log.warning(
            "task of an MCP server goes on, although ours has ended: task=%s server=%s remote=%s %s",
            context.task_id,
            server.url,
            answer["taskId"],
            error,
        )


def _is_task(answer: dict[str, Any]) -> bool:
    return answer.get("resultType") == "task"
