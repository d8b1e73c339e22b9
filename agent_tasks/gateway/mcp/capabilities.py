"""What a client has declared that it can do, with each of its requests."""

from mcp import types
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request

from agent_tasks.gateway.mcp.errors import TASKS, lacks
from agent_tasks.gateway.mcp.passage import Context


def knows_tasks(ctx: Context) -> bool:
    """Whether a call may be answered with a task."""
    declared = ctx.session.client_capabilities
    return is_modern(ctx) and declared is not None and TASKS in (declared.extensions or {})


def can_ask(ctx: Context) -> bool:
    """Whether the client puts forms before its user."""
    declared = ctx.session.client_capabilities
    return is_modern(ctx) and declared is not None and declared.elicitation is not None


def is_modern(ctx: Context) -> bool:
    """Whether the client speaks a revision that has extensions."""
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def lacks_tasks() -> MCPError:
    """The error for a client that would have to know tasks."""
    return lacks(extensions={TASKS: {}})


def check_task_request(ctx: Context, task_id: str) -> None:
    """Raise MCPError for a request about a task by a client that knows none, or whose header names another one."""
    if not is_modern(ctx):
        raise MCPError(types.METHOD_NOT_FOUND, "Method not found", ctx.method)
    if not knows_tasks(ctx):
        raise lacks_tasks()
    if isinstance(ctx.request, Request) and decode_header_value(ctx.request.headers.get(MCP_NAME_HEADER)) != task_id:
        raise MCPError(
            types.HEADER_MISMATCH, f"{MCP_NAME_HEADER} header does not match the request body's 'taskId' parameter"
        )
