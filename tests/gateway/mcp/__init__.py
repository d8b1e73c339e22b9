"""Hosts of the Model Context Protocol: the official SDK's client, and messages written by hand."""

import json
import socket
import struct
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from queue import Queue
from threading import Event, Thread
from typing import Any, Literal

import httpx2

MODERN, LEGACY = "2026-07-28", "2025-11-25"
TASKS = "io.modelcontextprotocol/tasks"
AGENTS = "tests.agents_mcp"
_ids = count(1)
"""The ids of messages."""


@dataclass
class Host:
    """A host that writes its messages by hand, with a token of its own or with none."""

    url: str
    token: str | None = None
    capabilities: dict[str, Any] = field(default_factory=lambda: {"extensions": {TASKS: {}}, "elicitation": {}})
    version: str = MODERN
    http: httpx2.Client = field(init=False)
    _sockets: list[socket.socket] = field(init=False, default_factory=list[socket.socket])

    def __post_init__(self) -> None:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        self.http = httpx2.Client(base_url=self.url, headers=headers, timeout=70)

    def hang_up(self, *, reset: bool = False) -> None:
        """Go away, at once: a socket on which another thread waits stays open until something comes, if only closed.

        `reset`: as one whose machine no longer knows the connection, not one that has ended it.
        """
        for each in self._sockets:
            with suppress(OSError):  # it is closed
                if reset:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
        self.http.close()

    def _traced(self, event: str, details: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self._sockets.append(details["return_value"].get_extra_info("socket"))

    def ask(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        meta: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> httpx2.Response:
        """The answer to a request, whatever it is."""
        message, sent = self._request(method, params, meta)
        return self.post(message, {**sent, **(headers or {})})

    def stream(self, method: str, params: Mapping[str, Any], *, meta: Mapping[str, Any] | None = None) -> Any:
        """The answer to a request, as it comes."""
        message, sent = self._request(method, params, meta)
        headers = {"Accept": "application/json, text/event-stream", **{k: v for k, v in sent.items() if v}}
        return self.http.stream("POST", "/mcp", json=message, headers=headers, extensions={"trace": self._traced})

    def _request(
        self, method: str, params: Mapping[str, Any] | None, meta: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], dict[str, str | None]]:
        said = {
            "io.modelcontextprotocol/protocolVersion": self.version,
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
            **(meta or {}),
        }
        given = dict(params or {})
        message = {"jsonrpc": "2.0", "id": next(_ids), "method": method, "params": {**given, "_meta": said}}
        name = given.get("taskId") or given.get("name")
        return message, {"MCP-Protocol-Version": self.version, "Mcp-Method": method, "Mcp-Name": name}

    def post(self, message: Any, headers: Mapping[str, str | None] | None = None) -> httpx2.Response:
        """The answer to anything."""
        sent = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json", **(headers or {})}
        content = message if isinstance(message, bytes) else json.dumps(message).encode()
        headers = {k: v for k, v in sent.items() if v is not None}
        return self.http.post("/mcp", content=content, headers=headers, extensions={"trace": self._traced})

    def result(self, method: str, params: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """The result of a request, which must have one."""
        answer = self.ask(method, params, **more)
        said = message_of(answer)
        assert "result" in said, answer.text
        return said["result"]

    def error(self, method: str, params: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """The error of a request, which must have one, with the status of its answer."""
        answer = self.ask(method, params, **more)
        said = message_of(answer)
        assert "error" in said, answer.text
        return {**said["error"], "status": answer.status_code}

    def call(self, tool: str, arguments: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """The result of a call of a tool, or its task."""
        return self.result("tools/call", {"name": tool, "arguments": dict(arguments or {}), **more})

    def in_background(self, tool: str, arguments: Mapping[str, Any], meta: Mapping[str, Any]) -> Thread:
        """A call that somebody else waits for."""

        def call() -> None:
            with suppress(httpx2.HTTPError, RuntimeError):  # it is cut off, or its client closed
                self.ask("tools/call", {"name": tool, "arguments": dict(arguments)}, meta=meta)

        thread = Thread(target=call)
        thread.start()
        return thread

    def get(self, task_id: str) -> dict[str, Any]:
        """A task as it stands."""
        return self.result("tasks/get", {"taskId": task_id})

    def update(self, task_id: str, **responses: Any) -> dict[str, Any]:
        return self.result("tasks/update", {"taskId": task_id, "inputResponses": responses})

    def cancel(self, task_id: str) -> dict[str, Any]:
        return self.result("tasks/cancel", {"taskId": task_id})


def message_of(answer: httpx2.Response) -> dict[str, Any]:
    """The last message of an answer, of one that is a stream as of one that is not."""
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        return messages_of(answer.text)[-1]
    return answer.json()


def messages_of(stream: str) -> list[dict[str, Any]]:
    """The messages of a stream."""
    return [json.loads(line[5:]) for line in stream.splitlines() if line.startswith("data:") and line[5:].strip()]


@asynccontextmanager
async def sdk_client(
    url: str, token: str | None, mode: Literal["auto", "legacy"] = "auto", **options: Any
) -> AsyncGenerator[Any]:
    """The official SDK's client, with a token."""
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=70) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode, **options) as client,
    ):
        yield client


class Stream:
    """The messages of an answer that goes on, as they come."""

    def __init__(
        self, host: Host, method: str, params: Mapping[str, Any], meta: Mapping[str, Any] | None = None
    ) -> None:
        self._host = host
        self._asked = (method, params, meta)
        self.messages: Queue[dict[str, Any]] = Queue()
        self.status = 0

    def __enter__(self) -> "Stream":
        self._opened = Event()
        self._thread = Thread(target=self._read)
        self._thread.start()
        assert self._opened.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def close(self) -> None:
        """Go away."""
        self._host.hang_up()

    def next(self) -> dict[str, Any]:
        """The next message."""
        return self.messages.get(timeout=20)

    def until(self, status: str) -> list[dict[str, Any]]:
        """What was told of a task up to this status."""
        told: list[dict[str, Any]] = []
        while not told or told[-1]["status"] != status:
            message = self.next()
            assert message["method"] == "notifications/tasks", message
            told.append(message["params"])
        return told

    def _read(self) -> None:
        method, params, meta = self._asked
        with suppress(httpx2.HTTPError, RuntimeError), self._host.stream(method, params, meta=meta) as answer:
            self.status = answer.status_code
            self._opened.set()
            for line in answer.iter_lines():
                if line.startswith(("data:", "{")) and line.strip() != "data:":
                    self.messages.put(json.loads(line.removeprefix("data:")))
        self._opened.set()
