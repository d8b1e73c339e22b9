"""Trace: that of a task, with a link to where people look at traces."""

from dataclasses import dataclass

from agent_tasks.task.snapshot import TaskSnapshot


@dataclass(frozen=True)
class Trace:
    """The trace that a task belongs to."""

    id: str
    url: str
    """Where it is shown; empty where no setting says so."""

    @classmethod
    def of(cls, task: TaskSnapshot, template: str) -> "Trace | None":
        """Return the trace of a task; None where it has none. `template`: a URL with `{trace_id}` in it."""
        if not task.traceparent:
            return None
        id = task.traceparent.split("-")[1]
        return cls(id, template.replace("{trace_id}", id))
