"""TaskStream: what becomes of a task, as updates of the protocol, in the order of its history."""

import logging
from collections.abc import AsyncGenerator, Iterator
from time import monotonic
from typing import Any

from a2a.types import a2a_pb2 as a2a

from agent_tasks import metrics
from agent_tasks.client.following import hearing, is_set_within, pace
from agent_tasks.client.handle import TaskHandle
from agent_tasks.errors import AgentTaskError
from agent_tasks.gateway.a2a.call import A2A, Call
from agent_tasks.gateway.a2a.skills import SkillReader
from agent_tasks.gateway.a2a.tasks import PARTIAL as PARTIAL_ID
from agent_tasks.gateway.a2a.tasks import (
    artifact,
    artifacts_of,
    awaited,
    context_of,
    message_of,
    state_of,
    status_of,
)
from agent_tasks.gateway.a2a.values import part_of, struct_of, time_of
from agent_tasks.gateway.event_page import EventPage, read_page
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.stages.authenticate import authenticate
from agent_tasks.store.errors import Transient
from agent_tasks.task.arguments import TASK_SIGNALS
from agent_tasks.task.event import Event, EventType
from agent_tasks.task.snapshot import TaskSnapshot

log = logging.getLogger(__name__)
Update = a2a.TaskStatusUpdateEvent | a2a.TaskArtifactUpdateEvent
_SYSTEM = frozenset(EventType)
_TELLING = {EventType.CLAIMED, EventType.WAITING, EventType.PARTIAL, EventType.FINISHED}
"""The system's events of which something is told; an agent's own are told of all."""


class TaskStream:
    """What one reader is sent after the task itself. None of it is kept: any gateway serves the next subscription.

    Word of a change wakes it; in case word is lost it also looks by itself, ever less often. Between looks it holds no
    thread and no connection.
    """

    def __init__(self, call: Call, skills: SkillReader, task: TaskHandle, first: TaskSnapshot, after: int) -> None:
        """`first`: the task as the reader has it; `after`: the seq of the last event that is a part of that."""
        self._call = call
        self._skills = skills
        self._task = task
        self._seen = first
        self._after = after
        self._state = state_of(first)
        self._progress = _progress_of(first)
        self._keep_alive = call.gate.settings.gateway_keep_alive_seconds
        self._verified_at = monotonic()
        self._is_over = False

    async def updates(self) -> AsyncGenerator[Update]:
        """The updates, until the task has ended or asks for input; or the token ends, or the gateway goes."""
        gate = self._call.gate
        patience, slowest = pace(self._task)
        with metrics.GATEWAY_STREAMS.track_inprogress(), hearing(self._task) as changed, gate.waking(changed):
            while not gate.closing.is_set():
                changed.clear()
                try:
                    page = await gate.in_thread(self._look)
                except Transient as error:
                    log.warning("stream of A2A is behind until Postgres is back: task=%s %s", self._task.id, error)
                    page = EventPage((), self._after)
                except AgentTaskError as error:  # the token ended, or the task was purged
                    log.info("stream of A2A ended: task=%s %s", self._task.id, error)
                    return
                self._after = page.after
                for update in self._told(page):
                    yield update
                if self._is_over:
                    return
                if not page.is_cut:
                    heard = await is_set_within(changed, min(patience, self._keep_alive))
                    first, slowest = pace(self._task)
                    patience = first if heard else min(2 * patience, slowest)

    def _look(self, gate: Gate) -> EventPage:
        if monotonic() - self._verified_at >= self._keep_alive:
            authenticate(gate, self._call.admission.arrival.token, A2A)
            self._verified_at = monotonic()
        page = read_page(self._task, self._after)
        is_told = any(event.type in _TELLING or event.type not in _SYSTEM for event, _ in page.events)
        self._seen = self._task.read() if is_told else self._task.look()
        return page

    def _told(self, page: EventPage) -> Iterator[Update]:
        """What a page of events is to the reader, up to where the stream ends."""
        for event, _ in page.events:
            if event.type == EventType.FINISHED:
                yield from self._end()
                return
            if event.type == EventType.PARTIAL and self._seen.partial is not None:
                yield self._artifact(artifact(PARTIAL_ID, self._seen.partial), is_last=False)
            elif event.type == EventType.CLAIMED:
                yield from self._comes_to(a2a.TASK_STATE_WORKING, event)
            elif event.type == EventType.WAITING:
                names = _names_of(event)
                yield from self._comes_to(a2a.TASK_STATE_INPUT_REQUIRED if names else a2a.TASK_STATE_WORKING, event)
                if names:
                    self._is_over = True
                    return
            elif event.type not in _SYSTEM:
                yield self._emitted(event)
        yield from self._progressed()

    def _comes_to(self, state: a2a.TaskState, event: Event) -> Iterator[Update]:
        """Tell of a state, where it is another one than was told last."""
        if state == self._state:
            return
        self._state = state
        asks = state == a2a.TASK_STATE_INPUT_REQUIRED
        if asks and awaited(self._seen):
            yield self._status(status_of(self._seen, self._skill))
            return
        parts = [part_of(f"Waits for {' or '.join(_names_of(event))}.")] if asks else []
        yield self._status(self._status_at(state, event, parts))

    def _emitted(self, event: Event) -> Update:
        """What an agent has told by `ctx.emit`."""
        parts = [part_of({"event": event.type, "data": event.data})]
        update = self._status(self._status_at(self._state, event, parts))
        update.metadata.CopyFrom(struct_of({"agent-tasks": {"event": event.type, "seq": event.seq}}))
        return update

    def _progressed(self) -> Iterator[Update]:
        """Tell of a new line of `ctx.progress`."""
        progress = _progress_of(self._seen)
        if progress is None or progress == self._progress or state_of(self._seen) != a2a.TASK_STATE_WORKING:
            return
        self._progress = progress
        update = self._status(status_of(self._seen, self._skill))
        said: Any = self._seen.progress
        update.metadata.CopyFrom(struct_of({"agent-tasks": {"progress": said.model_dump(exclude_none=True)}}))
        yield update

    def _end(self) -> Iterator[Update]:
        self._is_over = True
        for each in artifacts_of(self._seen):
            yield self._artifact(each, is_last=True)
        yield self._status(status_of(self._seen, self._skill))

    @property
    def _skill(self) -> Any:
        return self._skills.read().by_agent.get(self._seen.agent)

    def _status_at(self, state: a2a.TaskState, event: Event, parts: list[a2a.Part]) -> a2a.TaskStatus:
        said = a2a.TaskStatus(state=state, timestamp=time_of(event.at))
        if parts:
            said.message.CopyFrom(message_of(self._seen, f"{self._seen.id}-event-{event.seq}", parts))
        return said

    def _status(self, status: a2a.TaskStatus) -> a2a.TaskStatusUpdateEvent:
        return a2a.TaskStatusUpdateEvent(task_id=str(self._seen.id), context_id=context_of(self._seen), status=status)

    def _artifact(self, artifact: a2a.Artifact, *, is_last: bool) -> a2a.TaskArtifactUpdateEvent:
        return a2a.TaskArtifactUpdateEvent(
            task_id=str(self._seen.id), context_id=context_of(self._seen), artifact=artifact, last_chunk=is_last
        )


def _progress_of(task: TaskSnapshot) -> str | None:
    return task.progress.message if task.progress else None


def _names_of(event: Event) -> list[str]:
    """The signals that anybody may send and that a task has begun to wait for."""
    data = event.data if isinstance(event.data, dict) else {}  # pyright: ignore[reportUnknownVariableType]
    names: Any = data.get("names") if data.get("kind") == "signal" else None
    return [name for name in names or [] if not name.startswith(TASK_SIGNALS)]
