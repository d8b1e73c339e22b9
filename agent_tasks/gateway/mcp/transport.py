"""Streamable HTTP, stateless: any gateway answers any message, and none of them knows of another."""

import asyncio
import logging
from typing import Any

from mcp import types
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from agent_tasks.errors import AgentTaskError
from agent_tasks.gateway.arrival import Admitted
from agent_tasks.gateway.door import bearer, is_small
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.mcp.catalogue import Catalogue
from agent_tasks.gateway.mcp.errors import answer, written
from agent_tasks.gateway.mcp.hosts import check_ends
from agent_tasks.gateway.mcp.metadata import challenge
from agent_tasks.gateway.mcp.methods import Asked
from agent_tasks.gateway.mcp.passage import Passage, arrival_of
from agent_tasks.gateway.mcp.server import make_server
from agent_tasks.gateway.reading import parse
from agent_tasks.gateway.receiving import read_body
from agent_tasks.gateway.refusals import Refused
from agent_tasks.gateway.stages import admit
from agent_tasks.gateway.stages.authenticate import authenticate
from agent_tasks.gateway.strict_route import INLINE
from agent_tasks.gateway.traceparent import traceparent_of
from agent_tasks.store.errors import Transient
from agent_tasks.task.trace import span_traceparent

log = logging.getLogger(__name__)


class Transport:
    """An ASGI app between `start` and `close`."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._catalogue = Catalogue(gate.agents)
        self._manager = StreamableHTTPSessionManager(
            make_server(Passage(gate, self._catalogue), self._catalogue),
            stateless=True,
            security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # as `check_ends` does
            max_request_body_size=gate.settings.gateway_body_limit,
        )
        self._running: asyncio.Task[None] | None = None
        self._ends = asyncio.Event()

    async def start(self) -> None:
        """Begin, in a task that holds what the SDK's manager needs, until `close`."""
        started = asyncio.Event()

        async def run() -> None:
            async with self._manager.run():
                started.set()
                await self._ends.wait()

        self._running = asyncio.create_task(run())
        await started.wait()

    async def close(self) -> None:
        """End, with all that is under way."""
        self._ends.set()
        if self._running is not None:
            await self._running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, settings = Request(scope, receive), self._gate.settings
        message: Any = None
        try:
            check_ends(request, settings)
            if not is_small(request):
                await self._gate.in_thread(lambda gate: authenticate(gate, bearer(request)))
            body = await read_body(request, settings.gateway_body_limit, settings.gateway_body_seconds)
            wrong: Refused | None = None
            try:
                message = await run_in_threadpool(parse, body) if len(body) > INLINE else parse(body)
            except Refused as error:
                wrong = error
            asked, admitted = await self._admit(request, message)
        except (AgentTaskError, Refused, Transient) as error:
            await answer(message, error, challenge(settings))(scope, receive, send)
            return
        sending = _with_headers(send, admitted)
        if wrong is not None:
            refusal = written(None, 400, MCPError(types.PARSE_ERROR, wrong.detail))
            await refusal(scope, receive, sending)
            return
        scope.setdefault("state", {})["admitted"] = admitted
        try:
            with self._gate.followed.following(admitted.caller, asked.follows):
                await self._manager.handle_request(scope, _again(body, receive), sending)
        except Refused as error:
            await answer(message, error, challenge(settings))(scope, receive, sending)

    async def _admit(self, request: Request, message: Any) -> tuple[Asked, Admitted]:
        """What a message asks for, after the first four stages: nothing but that decides them."""
        origin = request.client.host if request.client else "unknown"
        token, traceparent, own = bearer(request), traceparent_of(request), span_traceparent()

        def enter(gate: Gate) -> tuple[Asked, Admitted]:
            authenticate(gate, token)  # nobody else has Postgres asked
            asked = Asked.of(message, self._catalogue.tools)
            return asked, admit(gate, arrival_of(asked, origin, token, traceparent, own))

        return await self._gate.in_thread(enter)


def _again(body: bytes, receive: Receive) -> Receive:
    """Receive a body that was read, and after it whatever comes."""
    is_given = False

    async def receive_again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _with_headers(send: Send, admitted: Admitted) -> Send:
    """Send answers with what they say of the caller's limits."""

    async def send_with(message: Message) -> None:
        if message["type"] == "http.response.start":
            more = [(name.lower().encode(), value.encode()) for name, value in admitted.headers.items()]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return send_with
