"""EventPage: some of a task's events as JSON, as many as are held in memory at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent_tasks.client.handle import TaskHandle
from agent_tasks.task.event import Event, EventType

MOST = 1000
"""The most events of a page."""
_ENOUGH = 1024 * 1024
"""A page of so many characters has no more events, however many were asked for."""
_AT_ONCE = 50
"""So many are read at a time, as each may be as large as a payload."""


@dataclass(frozen=True)
class EventPage:
    """Events in their order, each with its JSON."""

    events: Sequence[tuple[Event, str]]
    after: int
    """The seq to go on from: of the last event here, or from which these were asked for."""
    is_cut: bool = False
    """Whether there may be more right now."""

    @property
    def has_end(self) -> bool:
        """Whether the last event is the task's end."""
        return bool(self.events) and self.events[-1][0].type == EventType.FINISHED


def read_page(task: TaskHandle, after: int, limit: int = MOST) -> EventPage:
    """The first `limit` events with `seq` > `after`, or fewer where they are large.

    Raises InvalidInput for an `after` that the history has not come to.
    """
    found: list[tuple[Event, str]] = []
    size = 0
    while len(found) < limit and size < _ENOUGH:
        at_once = min(_AT_ONCE, limit - len(found))
        events = task.page_of_events(after, at_once)
        for event in events:
            text = event.model_dump_json()
            found.append((event, text))
            size += len(text)
            after = event.seq
        if len(events) < at_once:
            return EventPage(found, after)
    return EventPage(found, after, is_cut=True)
