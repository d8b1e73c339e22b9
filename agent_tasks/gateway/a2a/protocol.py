"""The protocol's two bindings and its card, as the SDK serves them, behind the stages of the gateway."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from a2a.server.jsonrpc_models import JSONParseError
from a2a.server.request_handlers.response_helpers import build_error_response
from a2a.server.routes import create_jsonrpc_routes, create_rest_routes
from a2a.utils.error_handlers import build_rest_error_payload
from a2a.utils.errors import A2AError, InvalidRequestError
from fastapi import HTTPException
from google.protobuf.json_format import ParseError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from agent_tasks.gateway.a2a.call import A2A, Call, CallContexts, Target, arrival_of, target_of
from agent_tasks.gateway.a2a.cards import Cards
from agent_tasks.gateway.a2a.handler import TaskHandler
from agent_tasks.gateway.a2a.skills import SkillReader, Skills
from agent_tasks.gateway.a2a.values import fits
from agent_tasks.gateway.door import bearer
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.loopback import check_local
from agent_tasks.gateway.refusals import Refused
from agent_tasks.gateway.stages.authenticate import authenticate
from agent_tasks.gateway.strict_route import StrictRequest
from agent_tasks.gateway.traceparent import traceparent_of

RPC, REST = "/a2a", "/a2a/v1"
_METHODS = {
    "/message:send": "SendMessage",
    "/message:stream": "SendStreamingMessage",
    "/tasks": "ListTasks",
    "/tasks/{id}": "GetTask",
    "/tasks/{id}:cancel": "CancelTask",
    "/tasks/{id}:subscribe": "SubscribeToTask",
    "/extendedAgentCard": "GetExtendedAgentCard",
}
_CONFIGS = {
    ("/tasks/{id}/pushNotificationConfigs", "POST"): "CreateTaskPushNotificationConfig",
    ("/tasks/{id}/pushNotificationConfigs", "GET"): "ListTaskPushNotificationConfigs",
    ("/tasks/{id}/pushNotificationConfigs/{push_id}", "GET"): "GetTaskPushNotificationConfig",
    ("/tasks/{id}/pushNotificationConfigs/{push_id}", "DELETE"): "DeleteTaskPushNotificationConfig",
}
"""What the paths of REST are in JSON-RPC."""
_SENT = ("SendMessage", "SendStreamingMessage")
_WITH_BODY = ("/message:send", "/message:stream", "/tasks/{id}/pushNotificationConfigs")
_LEAVE_SECONDS = 5.0
"""For so long a stream may go on when the gateway goes: it ends by itself, and is not to be broken off."""
_LOGS = ("a2a.server.routes.jsonrpc_dispatcher", "a2a.utils.error_handlers", "a2a.utils.version_validator")
_TOO_MANY = (
    "A request may hold 5,000 values, 30 levels deep, and numbers that a double can be. Send larger data as a text."
)
Handle = Callable[[Request], Awaitable[Response]]
Refuse = Callable[[Refused], Response]


class _Unforeseen(logging.Filter):
    """Lets through what is no fault of a request: that is told to whoever sent it, and to nobody else."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return record.levelno >= logging.ERROR and not isinstance(error, ParseError | A2AError)


_UNFORESEEN = _Unforeseen()


class Protocol:
    """Serves one gateway."""

    def __init__(self, gate: Gate) -> None:
        for name in _LOGS:
            logging.getLogger(name).addFilter(_UNFORESEEN)
        self._gate = gate
        skills = SkillReader(gate.agents, Skills.of)
        self._cards = Cards(gate.settings, skills)
        handler = TaskHandler(gate, skills, self._cards)
        contexts = CallContexts()
        (rpc,) = create_jsonrpc_routes(handler, RPC, contexts, shutdown_grace_period=_LEAVE_SECONDS)
        self._rpc: Handle = rpc.endpoint
        routes = create_rest_routes(handler, contexts, path_prefix=REST, shutdown_grace_period=_LEAVE_SECONDS)
        self._rest = [route for route in routes if isinstance(route, Route)]  # all but those below a tenant's name

    async def card(self, request: Request) -> Response:
        """The card that anybody may read."""
        found = await self._gate.in_thread(lambda _: self._cards.public())
        return found.answer(request.headers)

    async def rpc(self, request: Request) -> Response:
        """The answer to a call of JSON-RPC."""

        def target(body: Any) -> Target:
            given: dict[str, Any] = body if isinstance(body, dict) else {}
            return target_of(str(given.get("method")), given.get("params"))

        def refuse(refused: Refused) -> Response:
            return JSONResponse(build_error_response(None, JSONParseError(message=refused.detail)))

        return await self._through(request, self._rpc, target, refuse, needs_body=True)

    async def rest(self, request: Request) -> Response:
        """The answer to a request of REST. Raises HTTPException for what is no path or method of it."""
        route = _found(self._rest, request)
        path = route.path.removeprefix(REST)

        def target(body: Any) -> Target:
            method = _METHODS.get(path) or _CONFIGS.get((path, request.method), "")
            return target_of(method, body if method in _SENT else request.path_params)

        def refuse(refused: Refused) -> Response:
            return JSONResponse(build_rest_error_payload(InvalidRequestError(refused.detail)), 400)

        needs_body = path in _WITH_BODY and request.method == "POST"
        return await self._through(request, route.endpoint, target, refuse, needs_body=needs_body)

    async def _through(
        self, request: Request, handle: Handle, target: Callable[[Any], Target], refuse: Refuse, *, needs_body: bool
    ) -> Response:
        """What a handler of the SDK answers.

        What is wrong with a request is told only to whom the stages let through.
        """
        gate = self._gate
        if gate.settings.gateway_auth == "off":
            check_local(request)
        token = bearer(request)
        await gate.in_thread(lambda gate: authenticate(gate, token, A2A))  # before anything is read for strangers
        strict = StrictRequest(request.scope, request.receive)
        body: Any = None
        unread: Refused | None = None
        asked = Target(None)
        try:
            await strict.receive_json(gate.settings, is_required=needs_body)
            if await strict.body():
                body = await strict.json()
                if not fits(body):
                    raise Refused(400, "too_many_values", "The message is too large", _TOO_MANY)
            asked = target(body)
        except Refused as error:
            unread = error
        origin = request.client.host if request.client else "unknown"
        call = Call.of(gate, strict, arrival_of(asked, token, origin, traceparent_of(request)))
        strict.state.call = call
        if unread is not None:
            await gate.in_thread(call.admission.admit)
            if unread.status != 400:
                raise unread
            response = refuse(unread)
        else:
            response = await handle(strict)
            if call.failed is not None:
                raise call.failed
        admitted = call.admission.admitted or await gate.in_thread(call.admission.admit)
        response.headers.update(admitted.headers)
        return response


def _found(routes: list[Route], request: Request) -> Route:
    """The route of a request, whose path is read into it."""
    allowed: set[str] = set()
    for route in routes:
        match, found = route.matches(request.scope)
        if match is Match.FULL:
            request.scope.update({"path_params": found["path_params"]})
            return route
        if match is Match.PARTIAL:
            allowed |= route.methods or set()
    if allowed:
        raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})
    raise HTTPException(404)
