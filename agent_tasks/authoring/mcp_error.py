"""McpError: an end of a task that hosts of the Model Context Protocol see as an error of their request."""

from typing import Any, Self

from agent_tasks.errors import AgentTaskError, ErrorInfo, ErrorType, SuggestedAction
from agent_tasks.task.arguments import refused

INTERNAL_ERROR = -32603
"""JSON-RPC's code for what has none of its own."""


class McpError(AgentTaskError):
    """Raised in a step: the task fails, and over MCP its call is answered by this JSON-RPC error.

    What else a step raises is a result of the tool with `isError`, which a model reads and may mend. `code` is a whole
    number, `data` any JSON. Everywhere else it is the error `step_failed`, with both in its `details`.
    """

    type = ErrorType.STEP_FAILED
    suggested_action = SuggestedAction.ESCALATE

    def __init__(self, code: int, message: object, data: Any = None) -> None:
        if type(code) is not int or not -(2**31) <= code < 2**31:
            raise refused("McpError(code=) must be a whole number of 32 bits, as -32050", code, "code")
        super().__init__(message, json_rpc={"code": code, "data": data})
        self.code = code
        self.data = data

    @classmethod
    def recorded(cls, info: ErrorInfo) -> Self:
        """Return the exception for a recorded error; its `info` is the record itself."""
        code, data = code_of(info) or (INTERNAL_ERROR, None)
        error = cls(code, info.message, data)
        error._recorded = info
        return error


def code_of(info: ErrorInfo) -> tuple[int, Any] | None:
    """Return the JSON-RPC code and data of an error that an McpError was; None of any other."""
    kept = info.details.get("json_rpc")
    return (kept["code"], kept.get("data")) if isinstance(kept, dict) and "code" in kept else None  # pyright: ignore
