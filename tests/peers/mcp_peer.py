"""An MCP server of the official library, whose tasks a test brings to their end."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal

import anyio
from mcp import types
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Route

from tests.peers.serving import serving

FORM = {"type": "object", "properties": {"seats": {"type": "integer"}}}
ASKED = {"method": "elicitation/create", "params": {"message": "How many?", "mode": "form", "requestedSchema": FORM}}


class TaskParams(types.RequestParams):
    task_id: str = Field(alias="taskId")


class UpdateParams(TaskParams):
    input_responses: dict[str, Any] = Field(alias="inputResponses")


class McpPeer:
    """What the server was asked, and the tasks that it has; `may_go_on` holds its answers up."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.looks: list[str] = []
        self.tasks: dict[str, dict[str, Any]] = {}
        self.updates: list[dict[str, Any]] = []
        self.cancelled: list[str] = []
        self.refuses_with: int | None = None
        self.is_of_2025 = False
        self.interval = 100
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def finish(self, task_id: str, **result: Any) -> None:
        result = result or {"content": [{"type": "text", "text": f"end of {task_id}"}]}
        self.tasks[task_id] |= {"status": "completed", "result": {"resultType": "complete", **result}}

    async def call(self, context: Any, params: types.CallToolRequestParams) -> Any:
        arguments = params.arguments or {}
        self.calls.append({"tool": params.name, "arguments": arguments, "meta": dict(context.meta or {})})
        self.headers.append(dict(context.request.headers))
        answer = getattr(self, f"_{params.name}")(arguments, params)
        with anyio.CancelScope(shield=True):  # a server that does not notice who has gone
            await anyio.to_thread.run_sync(self.may_go_on.wait, 60)
        return answer

    def _nth(self, arguments: dict[str, Any], _: Any) -> Any:
        text = ("1st", "2nd", "3rd")[len(self.calls) - 1]
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)])

    def _flaky(self, arguments: dict[str, Any], params: Any) -> Any:
        if len(self.calls) < 3:
            raise MCPError(code=types.INTERNAL_ERROR, message="not yet")
        return self._echo({"word": "at last"}, params)

    def _echo(self, arguments: dict[str, Any], _: Any) -> Any:
        meta = {"agent-tasks/usage": {"tokens": 7, "usd": 0.25}}
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=f"heard {arguments['word']}")],
            structured_content={"word": arguments["word"]},
            _meta=meta,
        )

    def _slow(self, arguments: dict[str, Any], _: Any) -> Any:
        task_id = f"task-{len(self.tasks) + 1}"
        self.tasks[task_id] = {"status": "working"}
        return {"resultType": "task", **self._shown(task_id)}

    def _fault(self, arguments: dict[str, Any], _: Any) -> Any:
        return types.CallToolResult(content=[types.TextContent(type="text", text="no such table")], is_error=True)

    def _large(self, arguments: dict[str, Any], _: Any) -> Any:
        return types.CallToolResult(content=[types.TextContent(type="text", text="x" * arguments["bytes"])])

    def _wrong(self, arguments: dict[str, Any], _: Any) -> Any:
        raise MCPError(code=arguments["code"], message="it is not so")

    def _seats(self, arguments: dict[str, Any], params: types.CallToolRequestParams) -> Any:
        if params.input_responses is None:
            request = types.ElicitRequest.model_validate(ASKED)
            return types.InputRequiredResult(input_requests={"q1": request}, request_state="half")
        answer: Any = params.input_responses["q1"]
        said = f"{answer.action} {answer.content} {params.request_state}"
        return types.CallToolResult(content=[types.TextContent(type="text", text=said)])

    async def get(self, _: Any, params: TaskParams) -> dict[str, Any]:
        self.looks.append(params.task_id)
        return {"resultType": "complete", **self._shown(params.task_id)}

    async def update(self, _: Any, params: UpdateParams) -> dict[str, Any]:
        self.updates.append(params.input_responses)
        return {"resultType": "complete"}

    async def cancel(self, _: Any, params: TaskParams) -> dict[str, Any]:
        if params.task_id not in self.tasks:
            raise MCPError(code=types.INVALID_PARAMS, message="unknown task")
        self.cancelled.append(params.task_id)
        return {"resultType": "complete"}

    def _shown(self, task_id: str) -> dict[str, Any]:
        if task_id not in self.tasks:
            raise MCPError(code=types.INVALID_PARAMS, message="unknown task")
        moment = "2026-11-28T00:00:00Z"
        times = {"createdAt": moment, "lastUpdatedAt": moment, "ttlMs": 60_000, "pollIntervalMs": self.interval}
        return {"taskId": task_id, **times, **self.tasks[task_id]}

    def application(self, url: str) -> Any:
        self.url = f"{url}/mcp"
        server: Server[Any] = Server("peer", on_call_tool=self.call)
        server.extensions["io.modelcontextprotocol/tasks"] = {}
        server.add_request_handler("tasks/get", TaskParams, self.get)
        server.add_request_handler("tasks/update", UpdateParams, self.update)
        server.add_request_handler("tasks/cancel", TaskParams, self.cancel)
        inner = server.streamable_http_app(stateless_http=True, json_response=True)
        inner.router.routes.append(Route("/moved", moved, methods=["POST"]))

        async def application(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and self.refuses_with is not None:
                await PlainTextResponse("no", self.refuses_with)(scope, receive, send)
                return
            if (
                scope["type"] == "http"
                and self.is_of_2025
                and (b"mcp-protocol-version", b"2026-07-28") in scope["headers"]
            ):
                unknown = {"code": types.METHOD_NOT_FOUND, "message": "unknown method"}
                await JSONResponse({"jsonrpc": "2.0", "id": 1, "error": unknown}, 404)(scope, receive, send)
                return
            await inner(scope, receive, send)

        return application


async def moved(_: Request) -> RedirectResponse:
    return RedirectResponse("/mcp", 307)


@contextmanager
def mcp_peer() -> Generator[McpPeer]:
    peer = McpPeer()
    with serving(peer.application):
        yield peer


Version = Literal["2026-07-28", "2025-11-25"]
__all__ = ["ASKED", "McpPeer", "Starlette", "Version", "mcp_peer"]
