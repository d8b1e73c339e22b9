"""The pause that holds for a task: who paused what, when and why."""

from datetime import datetime

from pydantic import BaseModel


class Paused(BaseModel):
    """The first of the pauses that hold for a task: no step of it is begun until all of them have ended."""

    kind: str
    """What was paused: task, agent, queue or tenant."""
    name: str
    """The id of the task, this one or one above it, or the name of the agent, the queue or the tenant."""
    since: datetime
    by: str
    """The subject that paused it; of a trusted program `user@host`, which other callers see as `the operators`."""
    reason: str | None = None

    @property
    def message(self) -> str:
        """What is paused, since when, by whom and why, as one line for people."""
        why = f": {self.reason}" if self.reason else ""
        return f"The {self.kind} {self.name} is paused since {self.since:%Y-%m-%d %H:%M:%S %Z} by {self.by}{why}"
