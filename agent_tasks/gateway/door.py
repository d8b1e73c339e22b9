"""The HTTP door: each request is admitted by its head before its body is read."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from agent_tasks.gateway.arrival import Admitted, Arrival, Caller
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.loopback import check_local
from agent_tasks.gateway.operations import OPERATIONS
from agent_tasks.gateway.stages import admit
from agent_tasks.gateway.stages.submit import submit
from agent_tasks.gateway.strict_route import StrictRoute

T = TypeVar("T")


class Door(StrictRoute):
    """A route that is named as the operation that it serves, and open to whom the stages let through."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        operation = OPERATIONS[self.name]
        is_of_task = self.path.startswith("/tasks/")

        async def through(request: Request) -> Response:
            if gate_of(request).settings.gateway_auth == "off":
                check_local(request)
            origin = request.client.host if request.client else "unknown"
            named = request.path_params
            task_id = named.get("id") if is_of_task else None
            target = named.get("name" if is_of_task or "name" in named else "id")
            arrival = Arrival("http", origin, _bearer(request), operation, task_id, target)
            admitted = await gate_of(request).in_thread(admit, arrival)
            request.state.admitted = admitted
            response = await handle(request)
            response.headers.update(admitted.headers)
            return response

        return through


def doors() -> APIRouter:
    """A router whose routes are doors."""
    return APIRouter(route_class=Door)


def gate_of(request: Request) -> Gate:
    """The gate of the app that serves a request."""
    return request.app.state.gate


def admitted_of(request: Request) -> Admitted:
    """What the first four stages made of a request."""
    return request.state.admitted


async def perform(request: Request, work: Callable[[Gate, Caller], T]) -> T:
    """What `work` returns, done in a thread, as the caller, and audited. Raises what it raises."""

    def do(gate: Gate) -> T:
        return submit(gate, admitted_of(request), lambda caller: work(gate, caller))

    return await gate_of(request).in_thread(do)


async def performed(request: Request, work: Callable[[Gate, Caller], BaseModel], status: int = 200) -> Response:
    """The answer of what `work` returns. Its JSON is written in the thread, too: a page can be large."""
    text = await perform(request, lambda gate, caller: work(gate, caller).model_dump_json())
    return Response(text, status, media_type="application/json")


def _bearer(request: Request) -> str | None:
    given = request.headers.getlist("authorization")
    scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
