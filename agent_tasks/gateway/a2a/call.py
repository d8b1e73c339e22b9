"""Call: one request of A2A, from its admission to its answer."""

import hashlib
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from a2a.server.context import ServerCallContext
from a2a.server.routes import ServerCallContextBuilder
from a2a.utils.errors import A2AError
from starlette.requests import Request

from agent_tasks.client.pushes import PUT, REMOVE
from agent_tasks.gateway.a2a.errors import AS_PROBLEMS, of_error
from agent_tasks.gateway.arrival import Admitted, Arrival, Caller
from agent_tasks.gateway.door import Admission
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.operations import OPERATIONS, Operation
from agent_tasks.gateway.refusals import Refused
from agent_tasks.gateway.stages import admit
from agent_tasks.gateway.stages.authenticate import authenticate
from agent_tasks.gateway.stages.identify import identify
from agent_tasks.gateway.stages.limit import limit
from agent_tasks.gateway.stages.submit import submit

T = TypeVar("T")
A2A = "a2a"
"""The name of the door."""
SENDING = ("SendMessage", "SendStreamingMessage")
OPERATIONS_OF_METHODS = {
    "GetTask": OPERATIONS["get_task"],
    "ListTasks": OPERATIONS["list_tasks"],
    "CancelTask": OPERATIONS["cancel"],
    "SubscribeToTask": OPERATIONS["get_events"],
    "GetExtendedAgentCard": OPERATIONS["list_agents"],
    "CreateTaskPushNotificationConfig": Operation(PUT, "tasks:write", writes=True),
    "GetTaskPushNotificationConfig": Operation("get_push", "tasks:read"),
    "ListTaskPushNotificationConfigs": Operation("list_pushes", "tasks:read"),
    "DeleteTaskPushNotificationConfig": Operation(REMOVE, "tasks:write", writes=True),
}
_NOTHING = Operation("nothing", "")
_PLAIN = re.compile(r"[\x21\x23-\x7e]{1,240}")


@dataclass(frozen=True)
class Target:
    """What a request asks for, as far as its form says so."""

    operation: Operation | None
    """None: nothing that there is."""
    task_id: str | None = None
    key: str | None = None
    """Of a message that begins a task: sent again, it is the same task."""


def target_of(method: str, params: Any) -> Target:
    """What a call of this method is. Nothing in it is trusted, or known to be of the right form.

    Raises Refused where it says two things at once: which of them the SDK takes, is not known here.
    """
    given = cast(dict[str, Any], params) if isinstance(params, dict) else {}
    if method not in SENDING:
        return Target(OPERATIONS_OF_METHODS.get(method), _text(given, "taskId", "task_id") or _text(given, "id"))
    message: Any = given.get("message")
    message = cast(dict[str, Any], message) if isinstance(message, dict) else {}
    if task_id := _text(message, "taskId", "task_id"):
        return Target(OPERATIONS["signal"], task_id)
    id = _text(message, "messageId", "message_id")
    return Target(OPERATIONS["submit"], key=None if id is None else key_of(id))


def key_of(message_id: str) -> str:
    """The idempotency key of a message, which has the form of one."""
    if _PLAIN.fullmatch(message_id):
        return f"{A2A}:{message_id}"
    return f"{A2A}:sha256:{hashlib.sha256(message_id.encode()).hexdigest()}"


def _text(given: dict[str, Any], *names: str) -> str | None:
    """Return a text that has been given under one of these spellings of its name."""
    if len(spelled := [name for name in names if name in given]) > 1:
        raise Refused(400, "named_twice", "A name is given twice", f"Give either {' or '.join(spelled)}, not both.")
    found = given[spelled[0]] if spelled else None
    return found if isinstance(found, str) and found else None


@dataclass
class Call:
    """A request with its way through the first four stages; `failed` is what its answer's status says."""

    gate: Gate
    request: Request
    admission: Admission
    failed: Exception | None = field(default=None)

    @classmethod
    def of(cls, gate: Gate, request: Request, arrival: Arrival) -> "Call":
        stages = _known if arrival.operation is _NOTHING else admit
        return cls(gate, request, Admission(arrival, stages))

    async def perform(self, work: Callable[[Caller], T]) -> T:
        """What `work` returns, done in a thread, as the caller, and audited. Raises what it raises."""
        return await self.gate.in_thread(lambda gate: submit(gate, self.admission.admit(gate), work))

    @asynccontextmanager
    async def following(self, is_waiting: bool = True) -> AsyncGenerator[None]:
        """Within it the request follows a task, where it waits for one. Raises Refused where its tenant may not."""
        if not is_waiting:
            yield
            return
        admitted = await self.gate.in_thread(self.admission.admit)
        with self.gate.followed.following(admitted.caller):
            yield

    def failure(self, error: Exception) -> A2AError:
        """The protocol's error for one that ended the request."""
        if isinstance(error, AS_PROBLEMS):
            self.failed = error
        return of_error(error)


def arrival_of(target: Target, token: str | None, origin: str, traceparent: str | None) -> Arrival:
    """A request as it comes through this door."""
    return Arrival(
        A2A,
        origin,
        token,
        target.operation or _NOTHING,
        target.task_id,
        idempotency_key=target.key,
        traceparent=traceparent,
    )


def _known(gate: Gate, arrival: Arrival) -> Admitted:
    """The stages of a request that asks for nothing: only who is known is told what is wrong with it."""
    caller = identify(authenticate(gate, arrival.token, arrival.door))
    return Admitted(arrival, caller, limit(gate, caller, arrival))


class CallContexts(ServerCallContextBuilder):
    """Hands the SDK's handlers the call that a request is."""

    def build(self, request: Request) -> ServerCallContext:
        return ServerCallContext(state={"headers": dict(request.headers), "call": request.state.call})


def call_of(context: ServerCallContext) -> Call:
    """The call that the SDK handles."""
    return context.state["call"]
