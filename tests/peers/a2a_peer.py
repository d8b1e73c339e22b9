"""An agent that speaks A2A, made with the official library, whose tasks a test brings to their end."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from typing import Any

from a2a.server.context import ServerCallContext
from a2a.server.request_handlers.request_handler import RequestHandler, validate_request_params
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.types import a2a_pb2 as a2a
from a2a.utils.errors import InvalidParamsError, TaskNotCancelableError, TaskNotFoundError, UnsupportedOperationError
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

from tests.peers.serving import serving

ENDED = (a2a.TASK_STATE_COMPLETED, a2a.TASK_STATE_FAILED, a2a.TASK_STATE_CANCELED, a2a.TASK_STATE_REJECTED)


class A2APeer(RequestHandler):
    """What the agent was sent, and the tasks that it has: one for each message id, however often that comes."""

    def __init__(self, binding: str = "JSONRPC") -> None:
        self.url = ""
        self.binding = binding
        self.named: str | None = None
        self.messages: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.looks: list[str] = []
        self.tasks: dict[str, a2a.Task] = {}
        self.cancelled: list[str] = []
        self.refuses_with: int | None = None
        self.replies = False
        self.arrived = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._by_message: dict[str, str] = {}
        self._sent: dict[str, dict[str, Any]] = {}

    def state(self, task_id: str, state: Any, *parts: dict[str, Any]) -> None:
        status: dict[str, Any] = {"state": a2a.TaskState.Name(state), "timestamp": "2026-11-28T00:00:00Z"}
        if parts:
            message = {"messageId": "m", "role": "ROLE_AGENT", "parts": list(parts)}
            status["message"] = message
        self.tasks[task_id].status.CopyFrom(json_format.ParseDict(status, a2a.TaskStatus()))

    def finish(self, task_id: str, *parts: dict[str, Any], **metadata: Any) -> None:
        found = list(parts) or [{"text": f"end of {task_id}"}]
        artifact = json_format.ParseDict({"artifactId": "result", "parts": found}, a2a.Artifact())
        self.tasks[task_id].artifacts.append(artifact)
        self.tasks[task_id].metadata.update(metadata)
        self.state(task_id, a2a.TASK_STATE_COMPLETED)

    @validate_request_params
    async def on_message_send(self, params: a2a.SendMessageRequest, context: ServerCallContext) -> Any:
        message = json_format.MessageToDict(params.message)
        self.messages.append(message)
        self.headers.append(dict(context.state.get("headers", {})))
        self.arrived.set()
        while not self.may_answer.is_set():
            await asyncio.sleep(0.01)
        known = self._sent.setdefault(params.message.message_id, message)
        if known != message:
            raise InvalidParamsError("another message has this id")
        if self.replies:
            return a2a.Message(message_id="reply", role=a2a.ROLE_AGENT, parts=[a2a.Part(text="at once")])
        if task_id := params.message.task_id:
            self.state(task_id, a2a.TASK_STATE_WORKING)
            return self.tasks[task_id]
        task_id = self._by_message.setdefault(params.message.message_id, f"task-{len(self._by_message) + 1}")
        if task_id not in self.tasks:
            self.tasks[task_id] = a2a.Task(id=task_id, context_id=f"context of {task_id}")
            self.state(task_id, a2a.TASK_STATE_SUBMITTED)
        return self.tasks[task_id]

    @validate_request_params
    async def on_get_task(self, params: a2a.GetTaskRequest, context: ServerCallContext) -> a2a.Task | None:
        self.looks.append(params.id)
        if params.id not in self.tasks:
            raise TaskNotFoundError
        return self.tasks[params.id]

    @validate_request_params
    async def on_cancel_task(self, params: a2a.CancelTaskRequest, context: ServerCallContext) -> a2a.Task | None:
        if params.id not in self.tasks:
            raise TaskNotFoundError
        if self.tasks[params.id].status.state in ENDED:
            raise TaskNotCancelableError
        self.cancelled.append(params.id)
        self.state(params.id, a2a.TASK_STATE_CANCELED)
        return self.tasks[params.id]

    async def on_message_send_stream(self, params: Any, context: ServerCallContext) -> AsyncGenerator[Any]:
        raise UnsupportedOperationError
        yield

    async def on_subscribe_to_task(self, params: Any, context: ServerCallContext) -> AsyncGenerator[Any]:
        raise UnsupportedOperationError
        yield

    async def on_list_tasks(self, params: Any, context: ServerCallContext) -> Any:
        raise UnsupportedOperationError

    async def on_create_task_push_notification_config(self, params: Any, context: ServerCallContext) -> Any:
        raise UnsupportedOperationError

    async def on_get_task_push_notification_config(self, params: Any, context: ServerCallContext) -> Any:
        raise UnsupportedOperationError

    async def on_list_task_push_notification_configs(self, params: Any, context: ServerCallContext) -> Any:
        raise UnsupportedOperationError

    async def on_delete_task_push_notification_config(self, params: Any, context: ServerCallContext) -> Any:
        raise UnsupportedOperationError

    async def on_get_extended_agent_card(self, params: Any, context: ServerCallContext) -> Any:
        raise UnsupportedOperationError

    def application(self, url: str) -> Any:
        self.url = url
        address = self.named or (f"{url}/rpc" if self.binding == "JSONRPC" else f"{url}/rest")
        interface = a2a.AgentInterface(url=address, protocol_binding=self.binding, protocol_version="1.0")
        card = a2a.AgentCard(name="peer", description="A peer", version="1", supported_interfaces=[interface])
        inner = Starlette(
            routes=[
                *create_agent_card_routes(card),
                *create_jsonrpc_routes(self, "/rpc"),
                *create_rest_routes(self, path_prefix="/rest"),
            ]
        )

        async def application(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and self.refuses_with is not None:
                await PlainTextResponse("no", self.refuses_with)(scope, receive, send)
                return
            await inner(scope, receive, send)

        return application


@contextmanager
def a2a_peer(**options: Any) -> Generator[A2APeer]:
    peer = A2APeer(**options)
    with serving(peer.application):
        yield peer
