"""The bodies of answers that no class of the client's describes."""

from pydantic import BaseModel, ConfigDict

from agent_tasks.task.event import Event
from agent_tasks.task.snapshot import TaskSnapshot


class Answer(BaseModel):
    """A body whose fields are described in the document by what stands below them here."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Submitted(TaskSnapshot):
    """The snapshot of a task that was accepted, and how its submit was answered."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    mode: str
    """`async`: answered at once; `sync`: the answer waited for the task's end, or for as long as it may."""
    mode_reason: str
    """Why it was that."""


class History(Answer):
    """A page of a task's history."""

    events: list[Event]
    next: int
    """The `after` of the next page; as it was where there is nothing new."""


class Health(Answer):
    """Whether a process lives."""

    status: str


class Readiness(Health):
    """Whether requests can be served, and which server is in the way."""

    checks: dict[str, str]
    """`ok`, or what is wrong, of Postgres, Redis and the schema."""
