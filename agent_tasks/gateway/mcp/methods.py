"""Which operation a message of the protocol asks for, and of what."""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any, cast

from agent_tasks.gateway.operations import OPERATIONS, Operation
from agent_tasks.task.scopes import Scope

DOOR = "mcp"
"""The name of this door in the audit."""
GREET = Operation("greet", "")
"""To say hello and to ask what the server can do, which takes a token and no scope."""
CALL, LISTEN = "tools/call", "subscriptions/listen"
MOST_TASKS = 100
"""Of which one stream tells."""
OPERATIONS_OF_METHODS = {
    "tools/list": OPERATIONS["list_agents"],
    CALL: OPERATIONS["submit"],
    "tasks/get": OPERATIONS["get_task"],
    "tasks/update": OPERATIONS["signal"],
    "tasks/cancel": OPERATIONS["cancel"],
    LISTEN: OPERATIONS["get_task"],
}


OPERATOR_TOOLS = {
    "search": Operation("search", Scope.MCP),
    "why_waiting": Operation("why_waiting", Scope.MCP),
    "signal": Operation("signal", Scope.MCP, writes=True),
    "cancel": Operation("cancel", Scope.MCP, writes=True),
    "resume": Operation("resume", Scope.MCP, writes=True, opens=True),
    "tree": Operation("tree", Scope.MCP),
}
"""What the operator's tools do, by their names, where no agent's tool has that name."""


@dataclass(frozen=True)
class Asked:
    """What a message asks for: nothing in it is trusted."""

    operation: Operation
    task_id: str | None = None
    target: str | None = None
    """The tool that it names."""
    idempotency_key: str | None = None
    traceparent: str | None = None
    follows: int = 0
    """How many tasks are followed for as long as it is not answered."""

    @classmethod
    def of(cls, message: Any, agents: Callable[[], Container[str]]) -> "Asked":
        """Return what a decoded JSON-RPC message asks for; of what is none, what takes no scope.

        `agents` returns the names of the tools that agents are, and is asked only where it matters.
        """
        said = cast(dict[str, Any], message) if isinstance(message, dict) else {}
        params, method = said.get("params"), said.get("method")
        named = cast(dict[str, Any], params) if isinstance(params, dict) else {}
        return cls.by(method if isinstance(method, str) else "", named, agents)

    @classmethod
    def by(cls, method: str, params: Mapping[str, Any], agents: Callable[[], Container[str]]) -> "Asked":
        """Return what a method asks for with its parameters."""
        name = _text(params.get("name"))
        operation = OPERATIONS_OF_METHODS.get(method, GREET)
        if method == CALL and name in OPERATOR_TOOLS and name not in agents():
            arguments = params.get("arguments")
            task = cast(dict[str, Any], arguments).get("task_id") if isinstance(arguments, dict) else None
            return cls(OPERATOR_TOOLS[name], _text(task), name)
        given = params.get("_meta")
        meta = cast(dict[str, Any], given) if isinstance(given, dict) else {}
        return cls(
            operation,
            _text(params.get("taskId")),
            name,
            _text(meta.get(IDEMPOTENCY_KEY)),
            _text(meta.get("traceparent")),
            _follows(method, params),
        )


BUDGET, SESSION, IDEMPOTENCY_KEY = "agent-tasks/budget", "agent-tasks/session", "agent-tasks/idempotency-key"
"""What a request says of a task in its `_meta`, where the protocol has no place for it."""


def _follows(method: str, params: Mapping[str, Any]) -> int:
    if method != LISTEN:
        return 1 if method == CALL else 0
    filter = params.get("notifications")
    named: Any = cast(dict[str, Any], filter).get("taskIds") if isinstance(filter, dict) else None
    return max(1, min(len(cast(list[Any], named)), MOST_TASKS)) if isinstance(named, list) else 1


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
