"""The result of a tool: what a task that has ended is to whoever called it."""

import json
from typing import Any

from mcp import types
from mcp.shared.exceptions import MCPError

from agent_tasks.authoring.mcp_error import code_of
from agent_tasks.errors import AgentTaskError, ErrorInfo
from agent_tasks.task.snapshot import TaskSnapshot


def tool_result(task: TaskSnapshot) -> dict[str, Any]:
    """The result of a task that has ended, with `isError` where it failed. Raises MCPError where it ended by one."""
    if task.error is None:
        return _result(task.result)
    if (error := json_rpc_error(task)) is not None:
        raise error
    left: dict[str, Any] = {}
    if task.result is not None:
        left["result"] = task.result
    if task.remaining is not None:
        left["remaining"] = task.remaining
    return _failed(task.error, left)


def json_rpc_error(task: TaskSnapshot) -> MCPError | None:
    """The error that a step has raised as McpError; None where the task did not end by one."""
    ended = None if task.error is None else code_of(task.error)
    return None if ended is None or task.error is None else MCPError(ended[0], task.error.message, ended[1])


def wrong_call(error: AgentTaskError) -> dict[str, Any]:
    """The result of a call whose arguments are not accepted, which a model may mend."""
    return _failed(error.info, {})


def structured(value: dict[str, Any]) -> dict[str, Any]:
    """The result of a call that answers with an object."""
    return _result(value)


def said(text: str) -> dict[str, Any]:
    """The result of a call that came to nothing, and why."""
    return {"content": [_text(text)], "isError": True, "resultType": "complete"}


def _result(value: Any) -> dict[str, Any]:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shape: dict[str, Any] = {"structuredContent": value} if isinstance(value, dict) else {}
    return {"content": [_text(text)], **shape, "isError": False, "resultType": "complete"}


def _failed(error: ErrorInfo, left: dict[str, Any]) -> dict[str, Any]:
    content = [_text(error.message)]
    if "result" in left:
        content += _result(left["result"])["content"]
    structured = {"error": error.model_dump(mode="json"), **left}
    return {"content": content, "structuredContent": structured, "isError": True, "resultType": "complete"}


def _text(text: str) -> dict[str, Any]:
    return types.TextContent(type="text", text=text).model_dump(mode="json", by_alias=True, exclude_none=True)
