"""The methods of MCP and of A2A, for the matrix of who may do what: how each is asked, and what came of it."""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.gateway import Caller
from tests.gateway.mcp import Host


@dataclass(frozen=True)
class Method:
    """How a method is asked of something of Ana's."""

    door: str
    name: str
    scope: str
    of: str = ""
    """A task that is `shared`, or a `new` one; empty: of nothing."""
    params: dict[str, Any] = field(default_factory=dict[str, Any])
    """With `{thing}` for the task, and `{new}` for an id that was never used."""
    writes: str = ""
    """What the audit calls it; empty: it has no entry, whatever comes of it."""
    is_quiet: bool = False
    """It has no entry where it was carried out."""

    def __str__(self) -> str:
        return f"{self.door} {self.name}{' to a task' if self.name.startswith('Send') and self.of else ''}"


def _message(**more: Any) -> dict[str, Any]:
    return {"messageId": "{new}", "role": "ROLE_USER", **more}


_COUNT = {"agent-tasks": {"skill": "count"}}
_BEGIN = {"message": _message(parts=[{"data": {"to": 1}}], metadata=_COUNT)}
_ANSWER = {
    "message": _message(
        parts=[{"data": {"ok": True}}], taskId="{thing}", metadata={"agent-tasks": {"signal": "approval"}}
    )
}
_AT_ONCE = {"configuration": {"returnImmediately": True}}
_READ, _WRITE = "tasks:read", "tasks:write"
METHODS = [
    Method("mcp", "tools/list", _READ),
    Method("mcp", "tools/call", _WRITE, params={"name": "count", "arguments": {"to": 1}}, writes="submit"),
    Method("mcp", "tasks/get", _READ, "shared", {"taskId": "{thing}"}),
    Method(
        "mcp",
        "tasks/update",
        "tasks:signal",
        "new",
        {"taskId": "{thing}", "inputResponses": {}},
        "signal",
        is_quiet=True,
    ),
    Method("mcp", "tasks/cancel", "tasks:cancel", "new", {"taskId": "{thing}"}, "cancel"),
    Method("mcp", "subscriptions/listen", _READ, "shared", {"notifications": {"taskIds": ["{thing}"]}}),
    Method("mcp", "server/discover", ""),
    Method("a2a", "SendMessage", _WRITE, params={**_BEGIN, **_AT_ONCE}, writes="submit"),
    Method("a2a", "SendMessage", "tasks:signal", "new", {**_ANSWER, **_AT_ONCE}, "signal"),
    Method("a2a", "SendStreamingMessage", _WRITE, params=_BEGIN, writes="submit"),
    Method("a2a", "SendStreamingMessage", "tasks:signal", "new", _ANSWER, "signal"),
    Method("a2a", "GetTask", _READ, "shared", {"id": "{thing}"}),
    Method("a2a", "ListTasks", _READ),
    Method("a2a", "CancelTask", "tasks:cancel", "new", {"id": "{thing}"}, "cancel"),
    Method("a2a", "SubscribeToTask", _READ, "new", {"id": "{thing}"}),
    Method("a2a", "GetExtendedAgentCard", _READ),
    Method(
        "a2a",
        "CreateTaskPushNotificationConfig",
        _WRITE,
        "new",
        {"taskId": "{thing}", "id": "one", "url": "https://a.example/"},
        "put_push",
    ),
    Method("a2a", "GetTaskPushNotificationConfig", _READ, "pushed", {"taskId": "{thing}", "id": "one"}),
    Method("a2a", "ListTaskPushNotificationConfigs", _READ, "pushed", {"taskId": "{thing}"}),
    Method(
        "a2a", "DeleteTaskPushNotificationConfig", _WRITE, "pushed", {"taskId": "{thing}", "id": "one"}, "remove_push"
    ),
]
VERSION = {"A2A-Version": "1.0"}


@dataclass(frozen=True)
class Said:
    """The answer to a method, of a stream its first message."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def is_done(self) -> bool:
        return "result" in self.body or self.body.get("method") == "notifications/subscriptions/acknowledged"

    @property
    def agreed(self) -> list[str]:
        """The tasks that a subscription of MCP tells of."""
        return self.body["params"]["notifications"]["taskIds"]


def ask(caller: Caller, method: Method, thing: str = "") -> Said:
    """Ask a method. Of an answer that goes on, what follows the first message is not waited for."""
    text = json.dumps(method.params).replace("{thing}", thing).replace("{new}", uuid.uuid4().hex)
    params = json.loads(text)
    if method.door == "mcp":
        host = Host(str(caller.http.base_url))
        host.http.close()
        host.http = caller.http
        asked = host.stream(method.name, params)
    else:
        body = {"jsonrpc": "2.0", "id": 7, "method": method.name, "params": params}
        asked = caller.http.stream("POST", "/a2a", json=body, headers=VERSION)
    with asked as answer:
        headers = dict(answer.headers)
        if not headers["content-type"].startswith("text/event-stream"):
            answer.read()
            return Said(answer.status_code, headers, answer.json())
        lines = (line[5:] for line in answer.iter_lines() if line.startswith("data:") and line[5:].strip())
        return Said(answer.status_code, headers, json.loads(next(lines)))
