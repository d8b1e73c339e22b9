"""/tasks/{id}/events: a task's history, as a stream of server-sent events or page by page."""

import asyncio
import json
from collections.abc import AsyncGenerator
from time import monotonic
from typing import Annotated

from fastapi import Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from agent_tasks import metrics
from agent_tasks.client.following import follow_async
from agent_tasks.client.handle import TaskHandle
from agent_tasks.errors import InvalidInput
from agent_tasks.gateway import examples
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.credentials import Unauthenticated
from agent_tasks.gateway.door import admitted_of, doors, gate_of, perform
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.stages.authenticate import authenticate
from agent_tasks.task.event import Event

router = doors()
KEEP_ALIVE_SECONDS = 15.0
"""Silence for so long is broken by a comment, which tells both ends that the other is there."""
_PAGE = 1000
_STREAM = "text/event-stream"
_HEAD = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
LastEventId = Annotated[str | None, Header(description="The `id` of the last event that was seen; a browser sends it.")]
After = Annotated[int, Query(ge=0, le=2**63 - 1, description="The `seq` of the last event that was seen.")]
Limit = Annotated[int, Query(ge=1, le=_PAGE, description="Of a page.")]


@router.get("/tasks/{id}/events", name="get_events", responses=examples.get_events, summary="The history of a task")
async def get_events(
    request: Request, id: str, after: After = 0, limit: Limit = _PAGE, last_event_id: LastEventId = None
) -> Response:
    """The task's history in order, without a gap: with `Accept: text/event-stream` a stream until its end, else a page.

    Of the stream, `id` is an event's seq, and the last one is `end`, which has none.
    """
    seen = after if last_event_id is None else _number(last_event_id)

    def look(gate: Gate, caller: Caller) -> tuple[TaskHandle, list[Event]]:
        task = gate.client.get(id, identity=caller.viewer)
        return task, task.page_of_events(seen, limit)

    task, events = await perform(request, look)
    if _STREAM in request.headers.get("accept", ""):
        return StreamingResponse(_stream(request, task, seen), media_type=_STREAM, headers=_HEAD)
    page = {"events": [event.model_dump(mode="json") for event in events], "next": events[-1].seq if events else seen}
    return Response(json.dumps(page), media_type="application/json")


async def _stream(request: Request, task: TaskHandle, after: int) -> AsyncGenerator[str]:
    """The events from `after` on, as they come, until the task has ended, the credential has, or the gateway goes."""
    gate, token = gate_of(request), admitted_of(request).arrival.token
    metrics.GATEWAY_STREAMS.inc()
    looks = follow_async(task, None, gate.threads)
    look = asyncio.ensure_future(anext(looks, None))
    closing = asyncio.ensure_future(gate.closing.wait())
    try:
        looked_at = monotonic()
        while not closing.done():
            await asyncio.wait({look, closing}, timeout=KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if monotonic() - looked_at >= KEEP_ALIVE_SECONDS:
                looked_at = monotonic()
                if not await gate.in_thread(_is_valid, token):
                    return
            if not look.done():
                yield ": keep-alive\n\n"
                continue
            is_over = look.result() is None
            while events := await gate.in_thread(_more, task, after):
                yield "".join(map(_sent, events))
                after = events[-1].seq
                is_over = events[-1].type == "finished"
                if is_over or len(events) < _PAGE:
                    break
            if is_over:
                yield "event: end\ndata: {}\n\n"
                return
            look = asyncio.ensure_future(anext(looks, None))
    finally:
        metrics.GATEWAY_STREAMS.dec()
        look.cancel()
        closing.cancel()
        await asyncio.gather(look, closing, return_exceptions=True)
        await looks.aclose()


def _is_valid(gate: Gate, token: str | None) -> bool:
    """Whether the token that opened the stream is one still: a key may be revoked, and all may expire."""
    try:
        authenticate(gate, token)
    except Unauthenticated:
        return False
    return True


def _more(gate: Gate, task: TaskHandle, after: int) -> list[Event]:
    return task.page_of_events(after, _PAGE)


def _sent(event: Event) -> str:
    name = " ".join(event.type.split())  # an agent's own may have line breaks, which would end the field
    return f"id: {event.seq}\nevent: {name}\ndata: {event.model_dump_json()}\n\n"


def _number(last_event_id: str) -> int:
    if not last_event_id.isascii() or not last_event_id.isdigit() or len(last_event_id) > 18:
        raise InvalidInput(
            "Last-Event-ID must be the id of an event of this stream, a number. Leave it out to begin anew.",
            field="Last-Event-ID",
        )
    return int(last_event_id)
