"""The agent that waits for a task of an MCP server, parked between looks, and cancels it where it is cancelled."""

from collections.abc import Callable
from typing import Any

from agent_tasks.authoring.agent import Agent
from agent_tasks.authoring.calls.notes import observe
from agent_tasks.authoring.context import Context
from agent_tasks.authoring.directives import Next
from agent_tasks.authoring.peers.mcp_answers import ASKED, responses
from agent_tasks.authoring.peers.mcp_server import McpServer
from agent_tasks.authoring.peers.pace import next_look, seconds_of
from agent_tasks.authoring.peers.watching import AWAY, LOOKS
from agent_tasks.authoring.peers.wire import wire
from agent_tasks.errors import ContextLost, InvalidInput, StepFailed, UpstreamUnavailable

mcp_watch = Agent("mcp-watch", goal="Waits for a task of an MCP server")
mcp_watch.is_own = True


class RemoteFailed(UpstreamUnavailable):
    """The task has failed at its server, for good: the step that called the tool may have it begun anew."""

    retryable = False


async def cancel(ctx: Context, url: str, declared: bool, remote: str) -> None:
    """Cancel the task at its server, which may know it no more."""
    server = McpServer.at(url, declared=declared)
    try:
        await (await wire("mcp")).cancel(server, await server.headers_for(ctx.identity), remote)
    except InvalidInput as error:
        if "code" not in error.details:  # it is not the server that refuses
            raise


@mcp_watch.step(undo=cancel)
async def begin(
    ctx: Context, url: str, declared: bool, tool: str, remote: str, interval: float | None, answered_by: str
) -> Next:
    """Note the task, so that from here on it is cancelled with this one."""
    return Next(watch, url=url, declared=declared, tool=tool, remote=remote, interval=interval, answered_by=answered_by)


@mcp_watch.step(retry=AWAY)
async def watch(
    ctx: Context,
    url: str,
    declared: bool,
    tool: str,
    remote: str,
    interval: float | None,
    answered_by: str,
    waited: float = 0.0,
    answered: list[str] | None = None,
) -> dict[str, Any] | Next:
    """Look at the task until it has ended, parked meanwhile; while it asks for something, wait for the signal, too."""
    server = McpServer.at(url, declared=declared)
    done, told = set(answered or ()), set[str]()

    async def look() -> tuple[dict[str, Any], bool]:
        seen = await _seen(ctx, server, tool, remote)
        if seen.get("status") not in ("working", "input_required"):
            return {"result": _result(server, tool, seen, (await wire("mcp")).error_of)}, False
        requests = {k: v for k, v in (seen.get("inputRequests") or {}).items() if k not in done}
        if not told.issuperset(requests):
            await ctx.emit(ASKED, {"tool": tool, "signal": answered_by, "requests": requests})
        return {"interval": seconds_of(seen.get("pollIntervalMs")), "requests": requests}, True

    for _ in range(LOOKS):
        seen = await observe(ctx, ctx._operations, "tasks/get", look)  # pyright: ignore[reportPrivateUsage]
        if "result" in seen:
            return seen
        seconds = next_look(waited, seen["interval"] or interval)
        waited += seconds
        requests: dict[str, Any] = seen["requests"]
        if not requests:
            await ctx.sleep(seconds)
            continue
        told |= requests.keys()
        came = await ctx.wait(answered_by, timeout=seconds)
        if came is not None:
            given = responses(requests, came.payload)
            await ctx.call(_update, ctx, server, remote, given)
            done |= given.keys()
    return Next(
        watch,
        url=url,
        declared=declared,
        tool=tool,
        remote=remote,
        interval=interval,
        answered_by=answered_by,
        waited=waited,
        answered=sorted(done),
    )


async def _update(ctx: Context, server: McpServer, remote: str, given: dict[str, Any]) -> None:
    await (await wire("mcp")).update(server, await server.headers_for(ctx.identity), remote, given)


_update.__name__ = _update.__qualname__ = "mcp:tasks/update"


async def _seen(ctx: Context, server: McpServer, tool: str, remote: str) -> dict[str, Any]:
    try:
        return await (await wire("mcp")).get(server, await server.headers_for(ctx.identity), remote)
    except InvalidInput as error:
        if "code" not in error.details:
            raise
        raise ContextLost(
            f"{server.url} knows the task {remote} of {tool} no more, and how it ended is unknown: it was kept for "
            "less time than it took, or the server has lost it.",
            **error.details,
        ) from error


def _result(
    server: McpServer, tool: str, seen: dict[str, Any], error_of: Callable[[dict[str, Any], str], Exception]
) -> dict[str, Any]:
    """Return the result of a task that has ended. Raises the error with which it failed."""
    status, said = seen.get("status"), seen.get("statusMessage")
    if status == "completed" and isinstance(seen.get("result"), dict):
        return seen["result"]
    if status == "failed":
        error = error_of(seen.get("error") or {"message": said}, server.url)
        raise RemoteFailed(error.message, **error.details) if isinstance(error, UpstreamUnavailable) else error
    if status == "cancelled":
        why = f": {said}" if said else ""
        raise StepFailed(f"The task of {tool} was cancelled at {server.url}{why}", tool=tool, status=status)
    raise StepFailed(f"{server.url} answers otherwise than MCP says: a task that is {status!r}", tool=tool)
