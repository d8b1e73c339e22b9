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
from agent_tasks.gateway.strict_route import INLINE, StrictRoute
from agent_tasks.gateway.traceparent import traceparent_of

T = TypeVar("T")


class Admission:
    """The first four stages of one request, which it goes through once: in the thread that performs it, if it can."""

    def __init__(self, arrival: Arrival, stages: Callable[[Gate, Arrival], Admitted] = admit) -> None:
        self.arrival = arrival
        self._stages = stages
        self.is_asked = False
        self.admitted: Admitted | None = None

    def admit(self, gate: Gate) -> Admitted:
        """Return the request as admitted. Raises what the stages raise."""
        if self.admitted is None:
            self.is_asked = True
            self.admitted = self._stages(gate, self.arrival)
        return self.admitted


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Door(StrictRoute):
    """A route that is named as the operation that it serves, and open to whom the stages let through."""

    def get_route_handler(self) -> Handler:
        return guarded(self.name, self.path, super().get_route_handler())


def guarded(name: str, path: str, handle: Handler) -> Handler:
    """Return the handler of an operation at a path, behind the stages.

    A small body is read before it is known who sends it, so that all of a request is done in one thread at once. What
    is wrong with it is nevertheless told only to whom the stages let through.
    """
    operation = OPERATIONS[name]
    is_of_task = path.startswith("/tasks/")

    async def through(request: Request) -> Response:
        gate = gate_of(request)
        if gate.settings.gateway_auth == "off":
            check_local(request)
        origin = request.client.host if request.client else "unknown"
        named = request.path_params
        task_id = named.get("id") if is_of_task else None
        target = named.get("name" if is_of_task or "name" in named else "id")
        target = None if target is None else str(target)
        key = request.headers.get("idempotency-key")
        arrival = Arrival("http", origin, bearer(request), operation, task_id, target, key, traceparent_of(request))
        admission = Admission(arrival)
        request.state.admission = admission
        if not is_small(request):
            await gate.in_thread(admission.admit)
        try:
            response = await handle(request)
        except Exception:
            if not admission.is_asked:
                await gate.in_thread(admission.admit)
            raise
        admitted = admission.admitted or await gate.in_thread(admission.admit)
        response.headers.update(admitted.headers)
        return response

    return through


def doors() -> APIRouter:
    """A router whose routes are doors."""
    return APIRouter(route_class=Door)


def gate_of(request: Request) -> Gate:
    """The gate of the app that serves a request."""
    return request.app.state.gate


def admission_of(request: Request) -> Admission:
    """The way of a request through the first four stages."""
    return request.state.admission


async def perform(request: Request, work: Callable[[Gate, Caller], T]) -> T:
    """What `work` returns, done in a thread, as the caller, and audited. Raises what it raises."""

    def do(gate: Gate) -> T:
        return submit(gate, admission_of(request).admit(gate), lambda caller: work(gate, caller))

    return await gate_of(request).in_thread(do)


async def performed(request: Request, work: Callable[[Gate, Caller], BaseModel], status: int = 200) -> Response:
    """The answer of what `work` returns. Its JSON is written in the thread, too: a page can be large."""
    text = await perform(request, lambda gate, caller: work(gate, caller).model_dump_json())
    return Response(text, status, media_type="application/json")


def is_small(request: Request) -> bool:
    """Whether there is no body, or one that costs little to read, and is on its way."""
    if "expect" in request.headers:
        return False
    said = request.headers.get("content-length")
    if said is None:
        return "transfer-encoding" not in request.headers
    return len(said) <= len(str(INLINE)) and said.isdecimal() and int(said) <= INLINE


def bearer(request: Request) -> str | None:
    """The bearer token of a request, where it has one."""
    given = request.headers.getlist("authorization")
    scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
