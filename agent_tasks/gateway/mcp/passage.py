"""The way of a message through the six stages. Over HTTP it has gone through four of them before the SDK sees it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from starlette.requests import Request

from agent_tasks.errors import AgentTaskError, InvalidInput
from agent_tasks.gateway.arrival import Admitted, Arrival, Caller
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.mcp.catalogue import Catalogue
from agent_tasks.gateway.mcp.errors import of_error
from agent_tasks.gateway.mcp.methods import DOOR, Asked
from agent_tasks.gateway.operations import Operation
from agent_tasks.gateway.refusals import Refused
from agent_tasks.gateway.stages import admit
from agent_tasks.gateway.stages.authenticate import authenticate
from agent_tasks.gateway.stages.submit import submit
from agent_tasks.store.errors import Transient
from agent_tasks.task.trace import check_traceparent

T = TypeVar("T")
Context = ServerRequestContext[Any, Any]
Handler = Callable[[Context, Any], Awaitable[HandlerResult]]


def arrival_of(
    asked: Asked, origin: str, token: str | None, traceparent: str | None, own: str | None = None
) -> Arrival:
    """A message as it comes through this door; `own`: the span of a middleware that traces the gateway, which it is in
    whatever it says itself."""
    return Arrival(
        DOOR,
        origin,
        token,
        asked.operation,
        asked.task_id,
        asked.target,
        asked.idempotency_key,
        own or _checked(asked.traceparent) or traceparent,
    )


class Passage:
    """Leads messages through the stages. `token`: of whoever is at the other end of a pipe, where there is no HTTP."""

    def __init__(self, gate: Gate, catalogue: Catalogue, token: str | None = None) -> None:
        self.gate = gate
        self.catalogue = catalogue
        self._token = token

    async def perform(self, ctx: Context, work: Callable[[Gate, Caller], T], instead: Asked | None = None) -> T:
        """What `work` returns, done in a thread, as the caller, and audited. Raises what it raises.

        `instead`: what is done, where that is not what the message asks for: it is admitted anew.
        """

        def do(gate: Gate) -> T:
            admitted = self._admitted(gate, ctx)
            if instead is not None:
                other = replace(admitted.arrival, operation=instead.operation, task_id=instead.task_id, target=None)
                admitted = admit(gate, other)
            return submit(gate, admitted, lambda caller: work(gate, caller))

        return await self.gate.in_thread(do)

    def asked(self, ctx: Context) -> Asked:
        """What a message asks for. Asks Postgres."""
        return Asked.by(ctx.method, ctx.params or {}, self.catalogue.tools)

    async def operation(self, ctx: Context) -> Operation:
        """What a message was admitted for: agents may have come and gone since."""
        if isinstance(ctx.request, Request):
            return ctx.request.state.admitted.arrival.operation
        return await self.gate.in_thread(lambda gate: self.asked(ctx).operation)

    async def verify(self, ctx: Context) -> None:
        """Raise Unauthenticated where the token that a message came with is none any more."""
        if isinstance(ctx.request, Request):
            admitted: Admitted = ctx.request.state.admitted
            await self.gate.in_thread(lambda gate: authenticate(gate, admitted.arrival.token))

    def _admitted(self, gate: Gate, ctx: Context) -> Admitted:
        if isinstance(ctx.request, Request):
            return ctx.request.state.admitted
        return admit(gate, arrival_of(self.asked(ctx), "stdio", self._token, None))


def telling(handler: Handler) -> Handler:
    """Have a handler's errors told as errors of JSON-RPC."""

    async def handle(ctx: Context, params: Any) -> HandlerResult:
        try:
            return await handler(ctx, params)
        except MCPError:
            raise
        except (AgentTaskError, Refused, Transient) as error:
            raise of_error(error) from None

    return handle


def _checked(traceparent: str | None) -> str | None:
    """The span that a request says it is a part of; None where it is none: a trace begins anew."""
    try:
        return None if traceparent is None else check_traceparent(traceparent)
    except InvalidInput:
        return None
