"""tools/call: a task for each call, answered with its result where that comes soon, else with the task."""

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Any

import anyio
from mcp import types
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from agent_tasks.authoring.expectation import AUTO_SECONDS, is_long
from agent_tasks.client.handle import TaskHandle
from agent_tasks.errors import AgentTaskError, ErrorType, InvalidInput, PayloadTooLarge, UpstreamUnavailable
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.bodies import SubmitBody
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.idempotency import key_of
from agent_tasks.gateway.known_keys import FRESH_SECONDS
from agent_tasks.gateway.mcp import results
from agent_tasks.gateway.mcp.asking import Asking
from agent_tasks.gateway.mcp.capabilities import is_modern, knows_tasks, lacks_tasks
from agent_tasks.gateway.mcp.catalogue import AgentTool, Catalogue
from agent_tasks.gateway.mcp.methods import BUDGET, IDEMPOTENCY_KEY, OPERATOR_TOOLS, SESSION, Asked
from agent_tasks.gateway.mcp.operator import TOOLS
from agent_tasks.gateway.mcp.passage import Context, Passage
from agent_tasks.gateway.mcp.progress import ProgressTeller
from agent_tasks.gateway.mcp.shown import ShownTask
from agent_tasks.gateway.operations import OPERATIONS
from agent_tasks.gateway.patience import looks_until_end
from agent_tasks.gateway.refusals import Refused
from agent_tasks.gateway.stages.route import Route, find, route
from agent_tasks.gateway.submission import accept
from agent_tasks.gateway.waiting import looks_at
from agent_tasks.store.errors import Transient
from agent_tasks.store.queries import doors
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus

log = logging.getLogger(__name__)
_OPTIONS = ("budget", "session_id", "metadata")
"""Fields of a request that are no arguments: what is wrong with them is wrong with the request."""


@dataclass(frozen=True)
class _Accepted:
    task: TaskHandle
    seen: TaskSnapshot
    patience: float | None
    """For so many seconds the end is waited for; None: for as long as it takes, and there is no other answer."""
    is_asked_again: bool
    """Whether the client may send the call again, by a key, and others may wait for the same task."""


class Calls:
    """Answers calls of the tools that agents are."""

    def __init__(self, passage: Passage, catalogue: Catalogue) -> None:
        self._passage = passage
        self._catalogue = catalogue

    async def call(self, ctx: Context, params: types.CallToolRequestParams) -> dict[str, Any]:
        """The result of the tool, or the task that will have it."""
        if await self._passage.operation(ctx) in OPERATOR_TOOLS.values():
            return await self._operate(ctx, params)
        try:
            accepted = await self._passage.perform(ctx, lambda gate, caller: self._accept(gate, caller, ctx, params))
        except (InvalidInput, PayloadTooLarge) as error:
            if not _is_of_arguments(error):
                raise
            return results.wrong_call(error)
        if not isinstance(accepted, _Accepted):
            return accepted
        seen = await self._look(ctx, accepted)
        if seen.status.is_terminal and accepted.patience != 0:  # by a key it may have ended before this call
            return results.tool_result(seen)
        if accepted.patience is None:
            raise UpstreamUnavailable(f"This gateway ends. Task {seen.id} goes on without it.")
        summary = await self._passage.gate.in_thread(lambda gate: ShownTask(gate.client, seen).summary)
        return {**summary, "resultType": "task"}

    async def _operate(self, ctx: Context, params: types.CallToolRequestParams) -> dict[str, Any]:
        """What one of the operator's tools answers, errors too: a model may mend them."""
        tool = TOOLS[params.name]
        try:
            answer = await self._passage.perform(
                ctx, lambda gate, caller: tool.use(gate, caller, params.arguments or {})
            )
        except AgentTaskError as error:
            return results.wrong_call(error)
        return results.structured(answer)

    def _accept(
        self, gate: Gate, caller: Caller, ctx: Context, params: types.CallToolRequestParams
    ) -> _Accepted | dict[str, Any]:
        """Make a task of the call, or answer it where its user is to be asked first.

        Raises MCPError for what is no tool, or needs a client that can do more.
        """
        found = self._catalogue.tools().get(params.name)
        if found is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name[:200]}")
        if found.tool.task == "required" and not knows_tasks(ctx):
            raise lacks_tasks()
        arguments = params.arguments or {}
        if found.tool.ask is not None:
            answered = Asking(found).answered(ctx, arguments, params.input_responses)
            if answered.instead is not None:
                return answered.instead
            arguments = answered.arguments
        body = _body_of(found, arguments, ctx)
        to = route(gate, caller, found.agent.name, None, body.session_id)
        patience = self._patience(gate, ctx, found, to, body.input)
        key = key_of((ctx.meta or {}).get(IDEMPOTENCY_KEY))
        # A budget is what is left to the caller, and less each time that it asks again.
        task = accept(gate, caller, body, to, key, same=body.model_copy(update={"budget": None}))
        return _Accepted(task, task.seen or task.look(), patience, is_asked_again=key is not None)

    def _patience(self, gate: Gate, ctx: Context, found: AgentTool, to: Route, input: Any) -> float | None:
        """How long the end is waited for before the call is answered with a task; None: until it comes."""

        def past() -> float | None:
            with gate.client.database.connection() as connection:
                return doors.pace(connection, found.agent.name)["p95"]

        if found.tool.task == "never" or not knows_tasks(ctx):
            return None
        if found.tool.task == "required" or is_long(to.target.mode_hints, input, past)[0]:
            return 0.0
        return AUTO_SECONDS

    async def _look(self, ctx: Context, accepted: _Accepted) -> TaskSnapshot:
        """The task at its end, or as it stands when its end is waited for no longer."""
        seen, gate, patience = accepted.seen, self._passage.gate, accepted.patience
        if patience == 0:
            return seen
        task, teller, began = accepted.task, ProgressTeller(ctx), monotonic()
        all_looks = looks_until_end(gate, task) if patience is None else looks_at(gate, task, patience)
        try:
            async with aclosing(all_looks) as looks:
                async for seen in looks:
                    if seen.status.is_terminal or (patience is not None and _takes_long(seen)):
                        break
                    await teller.tell(seen)
        except Transient as error:
            if patience is None:
                raise
            log.warning("call is answered with its task, for Postgres is away: task=%s %s", task.id, error)
        except asyncio.CancelledError:
            if is_modern(ctx) and not accepted.is_asked_again and not gate.closing.is_set():
                await self._withdraw(ctx, task)
            raise
        if monotonic() - began > FRESH_SECONDS:
            await self._passage.verify(ctx)
        return seen

    async def _withdraw(self, ctx: Context, task: TaskHandle) -> None:
        """End the task of a call whose client has gone, which is how the protocol's newest revision cancels it.

        A client that may not cancel tasks leaves it to go on, as does one that can ask for it again by its key, and one
        of an older revision, whose connection may have broken.
        """
        id = str(task.id)
        with anyio.CancelScope(shield=True):
            try:
                await self._passage.perform(
                    ctx,
                    lambda gate, caller: find(gate, caller, id).cancel("its caller has gone"),
                    instead=Asked(OPERATIONS["cancel"], id),
                )
            except (AgentTaskError, Refused, Transient) as error:
                log.info("task of a call goes on without its caller: task=%s %s", task.id, error)


def _body_of(found: AgentTool, arguments: dict[str, Any], ctx: Context) -> SubmitBody:
    """The request that a call is. Raises MCPError for what it says of the task in a wrong way."""
    meta = dict(ctx.meta or {})
    said = {"budget": meta.get(BUDGET), "session_id": meta.get(SESSION)}
    try:
        return SubmitBody.model_validate({"agent": found.agent.name, "input": arguments, **said})
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        where = ".".join(map(str, wrong["loc"]))
        raise MCPError(types.INVALID_PARAMS, f"_meta: {where}: {wrong['msg']}") from None


def _is_of_arguments(error: InvalidInput | PayloadTooLarge) -> bool:
    """Whether an error tells of the tool's arguments, which a model may mend."""
    if type(error) not in (InvalidInput, PayloadTooLarge):
        return False  # a key that another request has, an agent that is gone
    field = str(error.details.get("field", ""))
    return error.type is ErrorType.PAYLOAD_TOO_LARGE or not field.startswith(_OPTIONS)


def _takes_long(seen: TaskSnapshot) -> bool:
    """Whether a task waits for what may take days: a signal, or a time."""
    waiting = seen.waiting_for
    return seen.status is TaskStatus.WAITING and waiting is not None and waiting.kind in ("signal", "timer")
