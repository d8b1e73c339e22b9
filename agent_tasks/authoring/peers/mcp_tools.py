"""McpTools: the tools of an MCP server, as `ctx.mcp(server)` gives them to a step."""

from collections.abc import Mapping
from typing import Any

from agent_tasks.authoring.calls.doing import Doing, plainly
from agent_tasks.authoring.calls.operations import CallOptions
from agent_tasks.authoring.peers.carried import Caller
from agent_tasks.authoring.peers.mcp_call import ToolCall
from agent_tasks.authoring.peers.mcp_result import McpResult
from agent_tasks.authoring.peers.mcp_server import McpServer

_SIGNAL = "input"


class _Tools:
    """The tools of a server, called with the same options."""

    def __init__(self, doing: Doing, context: Caller, options: CallOptions, server: Any) -> None:
        self._doing = doing
        self._context = context
        self._options = options
        self._server = McpServer.of(server)

    def _made(self, tool: str, arguments: Mapping[str, Any] | None, signal: str) -> ToolCall:
        return ToolCall(self._doing, self._context, self._options, self._server, tool, arguments, signal)


class McpTools(_Tools):
    """The tools of an MCP server, for an async step."""

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        signal: str = _SIGNAL,
        raise_on_error: bool = True,
    ) -> McpResult:
        """Call a tool once: what it answers is recorded, as by `ctx.call`.

        Where the server makes a task of it, the step is parked until that has ended, as by `ctx.fan_out`: a child of
        the agent `mcp-watch` asks for it from time to time, and cancels it where this task is cancelled. Where the
        server asks for something, an event `mcp.input_required` says what, and `signal` is the name of the signal that
        answers: of this task before the server has begun, of that child afterwards.

        Raises StepFailed where the tool says that it failed (with `raise_on_error=False` that is in the result), or the
        server answers with an error; UpstreamUnavailable where it does not answer; PermissionDenied where it refuses
        who asks, or the agent's `tools` do not name `mcp:TOOL`; ContextLost where it has lost its task; InvalidInput
        where it refuses the arguments, and wherever a step cannot wait; PayloadTooLarge; BudgetExhausted.
        """
        return await self._made(tool, arguments, signal).result(raise_on_error=raise_on_error)


class SyncMcpTools(_Tools):
    """The tools of an MCP server, for a plain step."""

    def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        signal: str = _SIGNAL,
        raise_on_error: bool = True,
    ) -> McpResult:
        """Call a tool, as `McpTools.call` does."""
        return plainly(self._made(tool, arguments, signal).result(raise_on_error=raise_on_error))
