"""The agent whose tasks are children elsewhere: it sends a message once, waits parked, and cancels what it began."""

from typing import Any
from uuid import UUID

from agent_tasks.authoring.agent import Agent
from agent_tasks.authoring.calls.notes import observe
from agent_tasks.authoring.context import Context
from agent_tasks.authoring.directives import Next
from agent_tasks.authoring.peers.a2a_agent import A2AAgent
from agent_tasks.authoring.peers.a2a_answers import (
    ASKING,
    OURS,
    WORKING,
    failure_of,
    message_of,
    reply_of,
    result_of,
    said_by,
    state_of,
    usage_of,
)
from agent_tasks.authoring.peers.carried import budget_of
from agent_tasks.authoring.peers.pace import next_look
from agent_tasks.authoring.peers.watching import AWAY, LOOKS
from agent_tasks.authoring.peers.wire import wire
from agent_tasks.errors import ContextLost, InvalidInput, PermissionDenied, StepFailed

ASKED = "a2a.input_required"
"""The event that says what a remote agent asks, and by which signal it is answered."""
a2a_remote = Agent("a2a-remote", goal="Has an agent elsewhere do something")
a2a_remote.is_own = True


def _agent(to: dict[str, Any]) -> A2AAgent:
    return A2AAgent.at(to["url"], declared=to["declared"])


async def withdraw(ctx: Context, to: dict[str, Any], sent: dict[str, Any]) -> None:
    """Cancel what may have been begun: the message may have been sent, and its answer not have been recorded.

    It is sent again, by which the task is found: the same message is the same task.
    """
    if ctx.step_number > 1:  # that was recorded, and is cancelled by the undo of what knows the task
        return
    _agent(to)  # it is no refusal where this worker cannot ask
    await wire("a2a")
    try:
        answer = await ctx.call(_send, ctx, to, sent)
    except (ContextLost, InvalidInput, PermissionDenied, StepFailed):  # it refuses the message, and did before
        return
    if "task" in answer:
        await cancel(ctx, to, answer["interface"], answer["task"]["id"])


@a2a_remote.step(undo=withdraw)
async def begin(ctx: Context, to: dict[str, Any], message: dict[str, Any]) -> Next:
    """Note what is to be sent, so that from here on it is cancelled with this task."""
    return Next(send, to=to, sent=_to_send(ctx, to, message))


async def cancel(ctx: Context, to: dict[str, Any], interface: dict[str, str], remote: str) -> None:
    """Cancel the task at the remote agent, where it may have ended, or be forgotten."""
    agent = _agent(to)
    try:
        await (await wire("a2a")).cancel(agent, await agent.headers_for(ctx.identity), interface, remote)
    except ContextLost:
        return
    except StepFailed as error:
        if error.details.get("ended") is not True:
            raise


@a2a_remote.step(retry=AWAY, undo=cancel)
async def send(ctx: Context, to: dict[str, Any], sent: dict[str, Any]) -> Next | dict[str, Any]:
    """Send the message, under an id by which a repeat is known to be one."""
    answer = await ctx.call(_send, ctx, to, sent)
    if "task" not in answer:
        await _charge(ctx, answer["message"])
        return reply_of(answer["message"])
    remote = {"interface": answer["interface"], "remote": answer["task"]["id"]}
    return Next(watch, to=to, sent=sent, sent_by=str(ctx.task_id), **remote)


@a2a_remote.step(retry=AWAY)
async def watch(
    ctx: Context,
    to: dict[str, Any],
    sent: dict[str, Any],
    sent_by: str,
    interface: dict[str, str],
    remote: str,
    waited: float = 0.0,
) -> Next | dict[str, Any]:
    """Look at the task until it has ended, parked meanwhile; while it asks for something, wait for a signal, too."""
    agent, goes_on_from_another, told = _agent(to), sent_by != str(ctx.task_id), set[str]()

    async def look() -> tuple[dict[str, Any], bool]:
        try:
            task = await (await wire("a2a")).get(agent, await agent.headers_for(ctx.identity), interface, remote)
        except ContextLost:
            if goes_on_from_another:
                return {"is_gone": True}, False
            raise
        state = state_of(task)
        if state in WORKING:
            return {"answered_by": None}, True
        if (signal := ASKING.get(state)) is not None:
            status: dict[str, Any] = task.get("status") or {}
            asked = f"{state} {status.get('timestamp')}"
            if asked not in told:
                await ctx.emit(ASKED, {"signal": signal, "text": said_by(task), "message": status.get("message")})
            return {"answered_by": signal, "asked": asked, "context": task.get("contextId")}, True
        if state == "TASK_STATE_COMPLETED":
            return {"task": task}, False
        if goes_on_from_another:  # it was cancelled with the task before this one, or was that one's failure
            return {"is_gone": True}, False
        raise failure_of(task, agent.url)

    for _ in range(LOOKS):
        seen = await observe(ctx, ctx._operations, "tasks/get", look)  # pyright: ignore[reportPrivateUsage]
        if "task" in seen:
            await _charge(ctx, seen["task"])
            return result_of(seen["task"])
        if "is_gone" in seen:
            return Next(send, to=to, sent=_to_send(ctx, to, sent))
        seconds = next_look(waited, None)
        waited += seconds
        if seen["answered_by"] is None:
            await ctx.sleep(seconds)
            continue
        told.add(seen["asked"])
        came = await ctx.wait(seen["answered_by"], timeout=seconds)
        if came is not None and came.payload is not None:
            reply = {**message_of(came.payload), "taskId": remote, "contextId": seen["context"]}
            await ctx.call(_reply, ctx, to, interface, reply)
    return Next(watch, to=to, sent=sent, sent_by=sent_by, interface=interface, remote=remote, waited=waited)


def _to_send(ctx: Context, to: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    """Return a message as it is sent for this task, each time the same: one of another content is no repeat."""
    agent, budget = _agent(to), budget_of(ctx)
    given: dict[str, Any] = message.get("metadata", {})
    ours: dict[str, Any] = {**given.get(OURS, {}), **({"budget": budget} if budget else {})}
    if agent.skill is not None:
        ours["skill"] = agent.skill
    return {**message, "messageId": str(ctx.task_id), "metadata": {**given, **({OURS: ours} if ours else {})}}


async def _send(ctx: Context, to: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    return await _asked(ctx, _agent(to), None, sent)


_send.__name__ = _send.__qualname__ = "a2a:send"


async def _reply(ctx: Context, to: dict[str, Any], interface: dict[str, str], reply: dict[str, Any]) -> None:
    await _asked(ctx, _agent(to), interface, {**reply, "messageId": str(UUID(ctx.idempotency_key[:32]))})


_reply.__name__ = _reply.__qualname__ = "a2a:reply"


async def _asked(
    ctx: Context, agent: A2AAgent, interface: dict[str, str] | None, message: dict[str, Any]
) -> dict[str, Any]:
    request = {"message": {"role": "ROLE_USER", **message}, "configuration": {"returnImmediately": True}}
    headers = await agent.headers_for(ctx.identity)
    if ctx.traceparent is not None:
        headers = {"traceparent": ctx.traceparent, **headers}
    return await (await wire("a2a")).send(agent, headers, interface, request)


async def _charge(ctx: Context, told: dict[str, Any]) -> None:
    tokens, usd = usage_of(told)
    if tokens or usd:
        await ctx.charge(tokens=tokens, usd=usd)
