"""Which operation a message of the protocol asks for, and of what."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from agent_tasks.gateway.operations import OPERATIONS, Operation

DOOR = "mcp"
"""The name of this door in the audit."""
GREET = Operation("greet", "")
"""To say hello and to ask what the server can do, which takes a token and no scope."""
_OF_METHODS = {
    "tools/list": OPERATIONS["list_agents"],
    "tools/call": OPERATIONS["submit"],
    "tasks/get": OPERATIONS["get_task"],
    "tasks/update": OPERATIONS["signal"],
    "tasks/cancel": OPERATIONS["cancel"],
    "subscriptions/listen": OPERATIONS["get_task"],
}


@dataclass(frozen=True)
class Asked:
    """What a message asks for: nothing in it is trusted."""

    operation: Operation
    task_id: str | None = None
    target: str | None = None
    """The tool that it names."""
    idempotency_key: str | None = None
    traceparent: str | None = None

    @classmethod
    def of(cls, message: Any) -> "Asked":
        """Return what a decoded JSON-RPC message asks for; of what is none, what takes no scope."""
        said = cast(dict[str, Any], message) if isinstance(message, dict) else {}
        params, method = said.get("params"), said.get("method")
        named = cast(dict[str, Any], params) if isinstance(params, dict) else {}
        return cls.by(method if isinstance(method, str) else "", named)

    @classmethod
    def by(cls, method: str, params: Mapping[str, Any]) -> "Asked":
        """Return what a method asks for with its parameters."""
        given = params.get("_meta")
        meta = cast(dict[str, Any], given) if isinstance(given, dict) else {}
        return cls(
            _OF_METHODS.get(method, GREET),
            _text(params.get("taskId")),
            _text(params.get("name")),
            _text(meta.get(IDEMPOTENCY_KEY)),
            _text(meta.get("traceparent")),
        )


BUDGET, SESSION, IDEMPOTENCY_KEY = "agent-tasks/budget", "agent-tasks/session", "agent-tasks/idempotency-key"
"""What a request says of a task in its `_meta`, where the protocol has no place for it."""


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
