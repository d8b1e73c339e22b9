"""/tasks/{id}/events: a task's history, as a stream of server-sent events or page by page."""

import re
from typing import Annotated

from fastapi import Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from agent_tasks.client.handle import TaskHandle
from agent_tasks.errors import InvalidInput
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.door import admission_of, doors, gate_of, perform
from agent_tasks.gateway.event_page import MOST, EventPage, read_page
from agent_tasks.gateway.event_stream import EventStream
from agent_tasks.gateway.examples import history as examples
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.refusals import Refused
from agent_tasks.gateway.shapes import History
from agent_tasks.task.arguments import LARGEST_NUMBER

router = doors()
_STREAM = "text/event-stream"
_NUMBER = re.compile(r"[0-9]{1,10}")
_VARY = {"Vary": "Accept"}
_HEAD = {**_VARY, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
LastEventId = Annotated[str | None, Header(description="The `id` of the last event that was seen; a browser sends it.")]
After = Annotated[int, Query(ge=0, le=LARGEST_NUMBER, description="The `seq` of the last event that was seen.")]
Limit = Annotated[int, Query(ge=1, le=MOST, description="Of a page, which is shorter where its events are large.")]


@router.get(
    "/tasks/{id}/events",
    name="get_events",
    response_model=History,
    responses=examples.get_events,
    summary="The history of a task",
)
async def get_events(
    request: Request, id: str, after: After = 0, limit: Limit = MOST, last_event_id: LastEventId = None
) -> Response:
    """The task's history in order, without a gap: with `Accept: text/event-stream` a stream until its end, else a page.

    Of the stream, `id` is an event's seq, and the last one is `end`, which has none.
    """
    seen = after if last_event_id is None else _number(last_event_id)
    is_stream = _STREAM in request.headers.get("accept", "").lower()

    def look(gate: Gate, caller: Caller) -> tuple[TaskHandle, bool, EventPage]:
        task = gate.client.get(id, identity=caller.viewer)
        has_ended = task.seen is not None and task.seen.status.is_terminal
        try:
            return task, has_ended, read_page(task, seen, MOST if is_stream else limit)
        except InvalidInput as error:
            field = "after" if last_event_id is None else "Last-Event-ID"
            raise InvalidInput(str(error), field=field) from None

    task, has_ended, page = await perform(request, look)
    if not is_stream:
        texts = ",".join(text for _, text in page.events)
        body = f'{{"events": [{texts}], "next": {page.after}}}'
        return Response(body, media_type="application/json", headers=_VARY)
    admission = admission_of(request)
    stream = EventStream(gate_of(request), admission.arrival.token, task, page, has_ended)
    return _Following(gate_of(request), admission.admit(gate_of(request)).caller, stream)


class _Following(StreamingResponse):
    """A stream that counts towards what its tenant has followed, for as long as it is sent."""

    def __init__(self, gate: Gate, caller: Caller, stream: EventStream) -> None:
        super().__init__(stream.pieces(), media_type=_STREAM, headers=_HEAD)
        self._gate = gate
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises Refused before anything is sent."""
        with self._gate.followed.following(self._caller):
            await super().__call__(scope, receive, send)


def _number(last_event_id: str) -> int:
    if not _NUMBER.fullmatch(last_event_id) or (number := int(last_event_id)) > LARGEST_NUMBER:
        raise Refused(
            400,
            "invalid_last_event_id",
            "The Last-Event-ID cannot be read",
            "Last-Event-ID must be the id of an event of this stream, a number. Leave it out to begin anew.",
            field="Last-Event-ID",
        )
    return number
