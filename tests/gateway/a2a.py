"""A caller of the A2A door: over both bindings by hand, and through the official SDK's client."""

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from a2a.client import Client, ClientConfig, ClientFactory
from a2a.types import a2a_pb2 as a2a
from google.protobuf.json_format import ParseDict

from agent_tasks import AgentTasks
from tests.gateway import Answer, Caller, Gateway

AGENTS = "tests.agents_a2a"
VERSION = {"A2A-Version": "1.0"}
BINDINGS = ("JSONRPC", "HTTP+JSON")


def message(*parts: Any, task: str = "", context: str = "", id: str = "", **said: Any) -> dict[str, Any]:
    """A message of texts and data; `said` is what its metadata says to the gateway."""
    sent: dict[str, Any] = {
        "messageId": id or uuid.uuid4().hex,
        "role": "ROLE_USER",
        "parts": [{"text": part} if isinstance(part, str) else {"data": part} for part in parts],
    }
    if task:
        sent["taskId"] = task
    if context:
        sent["contextId"] = context
    if said:
        sent["metadata"] = {"agent-tasks": said}
    return sent


@dataclass
class A2ACaller:
    """Somebody with a token at one gateway."""

    caller: Caller
    url: str
    token: str | None
    deployment: AgentTasks

    def rpc(self, method: str, params: Any = None, **headers: str) -> Answer:
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params or {}}
        return self.caller.post("/a2a", body, headers={**VERSION, **headers})

    def call(self, method: str, params: Any = None) -> Any:
        """The result of a call, which must have one."""
        answer = self.rpc(method, params)
        assert answer.status_code == 200, answer.text
        assert "result" in answer.json(), answer.text
        assert answer.json()["id"] == 7
        return answer.json()["result"]

    def fails(self, method: str, params: Any = None) -> dict[str, Any]:
        """The error of a call, which must have one."""
        answer = self.rpc(method, params)
        assert answer.status_code == 200, answer.text
        return answer.json()["error"]

    def rest(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        given = {} if body is None else {"json": body}
        return self.caller.ask(method, f"/a2a/v1{path}", headers=VERSION, **given, **options)

    def send(self, *parts: Any, now: bool = False, **options: Any) -> dict[str, Any]:
        """The task that a message has begun or reached."""
        params = {"message": message(*parts, **options), "configuration": {"returnImmediately": now}}
        return self.call("SendMessage", params)["task"]

    def get(self, task: str, **params: Any) -> dict[str, Any]:
        return self.call("GetTask", {"id": task, **params})

    @asynccontextmanager
    async def sdk(self, binding: str, *, streaming: bool = False, polling: bool = False) -> AsyncGenerator[Client]:
        """The official client, by the card of this gateway."""
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        async with httpx.AsyncClient(headers=headers, timeout=60) as http:
            said = (await http.get(f"{self.url}/.well-known/agent-card.json")).json()
            card = ParseDict(said, a2a.AgentCard())
            for interface in card.supported_interfaces:  # the port is known only since it listens
                interface.url = f"{self.url}{interface.url.partition('8000')[2]}"
            config = ClientConfig(
                httpx_client=http, supported_protocol_bindings=[binding], streaming=streaming, polling=polling
            )
            yield ClientFactory(config).create(card)


def a2a_caller(gateway: Gateway, subject: str | None = "ana", tenant: str = "acme", **options: Any) -> A2ACaller:
    """Who has a new key of this identity at the gateway, or at another one's `url`."""
    caller = gateway.caller(subject, tenant, **options)
    given = caller.http.headers.get("authorization", "")
    token = given.removeprefix("Bearer ") or None
    return A2ACaller(caller, str(caller.http.base_url).rstrip("/"), token, gateway.client)


def request(*parts: Any, **options: Any) -> a2a.SendMessageRequest:
    """The same as a request of the SDK."""
    return ParseDict({"message": message(*parts, **options)}, a2a.SendMessageRequest())
