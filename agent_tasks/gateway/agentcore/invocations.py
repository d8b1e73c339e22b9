"""/invocations: an agent's task for each, whose result is waited for, or fetched by invoking its session again."""

import asyncio
import hashlib
import uuid
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from agent_tasks.client import sessions
from agent_tasks.client.handle import TaskHandle
from agent_tasks.errors import InvalidState, TaskNotFound
from agent_tasks.gateway.agentcore import answers
from agent_tasks.gateway.agentcore.frames import frames
from agent_tasks.gateway.agentcore.payload import input_of, read_payload
from agent_tasks.gateway.agentcore.ping import PingReader
from agent_tasks.gateway.agentcore.question import Question, question_of
from agent_tasks.gateway.arrival import Arrival, Caller
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.loopback import check_local
from agent_tasks.gateway.operations import OPERATIONS, Operation
from agent_tasks.gateway.patience import client_gone, looks_until_end
from agent_tasks.gateway.stages import admit
from agent_tasks.gateway.stages.route import find, route
from agent_tasks.gateway.stages.submit import submit
from agent_tasks.gateway.traceparent import traceparent_of
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.transitions.invoke import Invocation, Runtime
from agent_tasks.transitions.submit import NewTask

T = TypeVar("T")
SESSION_HEADER = "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id"
SHORTEST, LONGEST = 33, 256
"""Characters of a session's id, as the platform enforces them."""
_STREAM = "text/event-stream"
_BUSY = 'The session is busy with task {id}. Wait for its end, or ask for its status with {{"task_id": "{id}"}}.'


class Invocations:
    """What POST /invocations does, in the mode of the settings."""

    def __init__(self, gate: Gate, runtime: Runtime, ping: PingReader) -> None:
        self._gate = gate
        self._runtime = runtime
        self._ping = ping
        self._acknowledges = gate.settings.agentcore_mode == "acknowledge"

    async def answer(self, request: Request) -> Response:
        """The answer of an invocation, whatever becomes of it."""
        session_id = request.headers.get(SESSION_HEADER) or str(uuid.uuid4())
        try:
            if self._gate.settings.gateway_auth == "off":
                check_local(request)
            payload = await read_payload(request, self._gate.settings)
            if self._acknowledges:
                response = await self._acknowledge(request, session_id, payload)
            else:
                response = await self._wait(request, session_id, payload)
        except Exception as error:
            response = answers.of_exception(error)
        self._ping.outdate()  # whoever has heard of a beginning or an end here is told so by the next ping, too
        response.headers[SESSION_HEADER] = session_id
        return response

    async def _acknowledge(self, request: Request, session_id: str, payload: Any) -> Response:
        """Say that a task was started, how the one stands that the session has, or what its result is."""
        if not SHORTEST <= len(session_id) <= LONGEST:
            raise answers.Answered(
                answers.error_answer(
                    400, f"{SESSION_HEADER} must have {SHORTEST} to {LONGEST} characters, not {len(session_id)}."
                )
            )
        if (question := question_of(payload)) is not None:
            return answers.report_answer(await self._look(request, session_id, question), session_id)
        met = await self._invoke(request, session_id, payload, exclusive=True)
        return answers.report_answer(TaskSnapshot.from_row(met.row), session_id)

    async def _wait(self, request: Request, session_id: str, payload: Any) -> Response:
        """The result of the task once it has ended, or the events that it emits as they come."""
        met = await self._invoke(request, _bounded(session_id), payload, exclusive=False)
        self._ping.outdate()
        task = TaskHandle(self._gate.client, met.row["id"], None, TaskSnapshot.from_row(met.row))
        if _STREAM in request.headers.get("accept", "").lower():
            return StreamingResponse(frames(self._gate, task), media_type=_STREAM)
        gone = asyncio.ensure_future(client_gone(request))
        try:
            async with aclosing(looks_until_end(self._gate, task, gone)) as looks:
                async for seen in looks:
                    if seen.status.is_terminal:
                        return answers.result_answer(seen)
        finally:
            gone.cancel()
        return answers.error_answer(503, answers.going(task))

    async def _look(self, request: Request, session_id: str, question: Question) -> TaskSnapshot:
        """How a task stands; whoever is told its result has read it."""

        def look(caller: Caller) -> TaskSnapshot:
            client = self._gate.client
            named = question.task_id or str(sessions.last_task(client, self._runtime, session_id))
            task = find(self._gate, caller, named)
            seen = task.stored()
            if seen.session_id != session_id:
                raise TaskNotFound(f"This session has no task {seen.id}.")
            if seen.status.is_terminal:
                sessions.note_read(client, seen.id)
            return seen

        return await self._perform(request, OPERATIONS["get_task"], look, task_id=question.task_id)

    async def _invoke(self, request: Request, session_id: str, payload: Any, *, exclusive: bool) -> Invocation:
        """What the invocation has started or read. Raises InvalidState where the session is busy."""

        def invoke(caller: Caller) -> Invocation:
            to = route(self._gate, caller, self._runtime.agent, None, session_id)

            def make() -> NewTask:
                return self._gate.client.new_task(
                    to.target,
                    input_of(payload),
                    None,
                    identity=caller.identity,
                    session_id=session_id,
                    queue=to.queue,
                )

            met = sessions.invoke(self._gate.client, self._runtime, session_id, make, exclusive=exclusive)
            if met.found == "work":
                raise InvalidState(_BUSY.format(id=met.row["id"]))
            return met

        return await self._perform(request, OPERATIONS["submit"], invoke)

    async def _perform(
        self, request: Request, operation: Operation, work: Callable[[Caller], T], task_id: str | None = None
    ) -> T:
        """What `work` returns, through the six stages, in a thread."""
        origin = request.client.host if request.client else "unknown"
        arrival = Arrival(sessions.AGENTCORE, origin, None, operation, task_id, traceparent=traceparent_of(request))
        return await self._gate.in_thread(lambda gate: submit(gate, admit(gate, arrival), work))


def _bounded(session_id: str) -> str:
    """The id as it is kept: one that is longer than the platform's, by its digest."""
    return session_id if len(session_id) <= LONGEST else hashlib.sha256(session_id.encode()).hexdigest()
