"""The approval as the task's history records it: who gave or refused it, and how soon the task went on."""

from dataclasses import dataclass

from agent_tasks.client.handle import TaskHandle
from agent_tasks.task.event import EventType


@dataclass(frozen=True)
class Judgement:
    by: str
    waited: float
    """Seconds from the start of the wait to the signal."""
    went_on_after: float
    """Seconds from the signal to the next step's claim."""

    @classmethod
    def of(cls, task: TaskHandle) -> "Judgement":
        """Read the judgement of a task that was sent a signal while it waited for it."""
        events = list(task.events())
        at = next(at for at, event in enumerate(events) if event.type == EventType.SIGNALLED)
        waiting = next(event for event in reversed(events[:at]) if event.type == EventType.WAITING)
        claimed = next(event for event in events[at:] if event.type == EventType.CLAIMED)
        return cls(
            events[at].data["sender"]["subject"],
            (events[at].at - waiting.at).total_seconds(),
            (claimed.at - events[at].at).total_seconds(),
        )
