"""EventStream: a task's history as server-sent events, as they come, until the task has ended."""

import logging
from collections.abc import AsyncGenerator, Iterator
from time import monotonic

from agent_tasks import metrics
from agent_tasks.client.following import hearing, is_set_within, pace
from agent_tasks.client.handle import TaskHandle
from agent_tasks.errors import AgentTaskError
from agent_tasks.gateway.event_page import EventPage, read_page
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.stages.authenticate import authenticate
from agent_tasks.store.errors import Transient
from agent_tasks.task.event import Event

log = logging.getLogger(__name__)
_KEEP_ALIVE = ": keep-alive\n\n"
_END = "event: end\ndata: {}\n\n"
_PIECE = 64 * 1024


class EventStream:
    """What one reader is sent. None of it is kept: any gateway goes on from the last id that the reader has seen.

    Word of a change wakes it; in case word is lost it also looks by itself, ever less often, down to once in each
    keep-alive. Between looks it holds no thread and no connection.
    """

    def __init__(self, gate: Gate, token: str | None, task: TaskHandle, first: EventPage, has_ended: bool) -> None:
        """`first`: the page that it begins with; `has_ended`: whether the task had ended before that was read."""
        self._gate = gate
        self._token = token
        self._task = task
        self._page = first
        self._is_over = has_ended and not first.is_cut
        self._keep_alive = gate.settings.gateway_keep_alive_seconds
        self._patience = pace(task)[0]
        self._verified_at = self._spoke_at = monotonic()

    async def pieces(self) -> AsyncGenerator[str]:
        """The text, piece by piece. It stops without `end` where the token ends or the gateway goes."""
        with metrics.GATEWAY_STREAMS.track_inprogress(), hearing(self._task) as changed, self._gate.waking(changed):
            while not self._gate.closing.is_set():
                for piece in _pieces(self._page):
                    yield piece
                    self._spoke_at = monotonic()
                if self._is_over or self._page.has_end:
                    yield _END
                    return
                if not self._page.is_cut:
                    first, slowest = pace(self._task)
                    silence_ends = self._spoke_at + self._keep_alive
                    heard = await is_set_within(changed, min(self._patience, silence_ends - monotonic()))
                    self._patience = first if heard else min(2 * self._patience, slowest, self._keep_alive)
                    if monotonic() >= silence_ends:
                        yield _KEEP_ALIVE
                        self._spoke_at = monotonic()
                changed.clear()
                try:
                    self._page = await self._gate.in_thread(self._next)
                except Transient as error:
                    log.warning("stream of events is behind until Postgres is back: task=%s %s", self._task.id, error)
                    self._page = EventPage((), self._page.after)
                except AgentTaskError as error:  # the token ended, or the task was purged
                    log.info("stream of events ended: task=%s %s", self._task.id, error)
                    return

    def _next(self, gate: Gate) -> EventPage:
        if monotonic() - self._verified_at >= self._keep_alive:
            authenticate(gate, self._token)
            self._verified_at = monotonic()
        return read_page(self._task, self._page.after)


def _pieces(page: EventPage) -> Iterator[str]:
    """The events as text, several in one piece where they are small: each piece is written to the socket by itself."""
    piece: list[str] = []
    size = 0
    for event, text in page.events:
        piece.append(_sent(event, text))
        size += len(text)
        if size >= _PIECE:
            yield "".join(piece)
            piece, size = [], 0
    if piece:
        yield "".join(piece)


def _sent(event: Event, text: str) -> str:
    name = " ".join(event.type.split())  # an agent's own may have line breaks, which would end the field
    return f"id: {event.seq}\nevent: {name}\ndata: {text}\n\n"
