"""The arguments that a waiting step is given when it goes on: signals, and the outcomes of children."""

from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, field_serializer

from agent_tasks.authoring.calls.writes import durably
from agent_tasks.authoring.child_results import ChildResults, UnreadResult
from agent_tasks.errors import ErrorInfo
from agent_tasks.task.budget import Spend
from agent_tasks.task.identity import Identity
from agent_tasks.task.row import Limits, Spent
from agent_tasks.task.snapshot import spend_of
from agent_tasks.task.status import TaskStatus

P = TypeVar("P")


class Signal(BaseModel, Generic[P]):
    """A signal as a step gets it; the payload of a `Signal[Approval]` is validated before it is accepted."""

    model_config = ConfigDict(frozen=True)

    name: str
    payload: P | None = None
    """The payload, as `P` validates it."""
    signal_id: str | None = None
    """The sender's own id for it, which makes sending it again harmless."""
    sender: Identity | None = None
    """Who sent it; None: a trusted program that named nobody."""
    sent_at: datetime
    """The time it was accepted, by the database's clock."""


class ChildOutcome(BaseModel):
    """How a child ended; a partial child's `result` is what it recorded.

    The results of a join are read when they are asked for, some 16 MiB at a time, and dropped for the next ones, so
    that a step which looks at one after the other needs no memory for all. A change of a result may therefore be lost.
    """

    model_config = ConfigDict(frozen=True)

    task_id: UUID
    index: int
    """Its place in the FanOut, from 0."""
    agent: str
    status: TaskStatus
    result: Any = None
    """The result of a completed child, or the partial one of a child that ended early."""
    remaining: list[Any] | None = None
    """What was left to do, if the agent of a partial child said so."""
    error: ErrorInfo | None = None
    """The reason the child ended without completing."""
    spent: Spend
    """The amounts spent by the child and the tasks below it."""

    async def load(self) -> Any:
        """Return the result, read in a thread: for async steps with results over 16 MiB, where `result` would block
        the event loop while it waits for Postgres."""
        result = self.__dict__["result"]
        return await durably(result.load) if isinstance(result, UnreadResult) else result

    if not TYPE_CHECKING:

        def __getattribute__(self, name: str) -> Any:
            value = super().__getattribute__(name)
            return value.load() if type(value) is UnreadResult else value

    def __iter__(self) -> Generator[tuple[str, Any], None, None]:
        yield from ((name, getattr(self, name)) for name in type(self).model_fields)

    @field_serializer("result")
    def _read(self, result: Any) -> Any:
        return result.load() if isinstance(result, UnreadResult) else result


class JoinedChildRow(Limits, Spent):
    """A child as `queries.children.joined_children` returns it."""

    id: UUID
    child_index: int
    agent: str
    status: str
    error: dict[str, Any] | None
    ending: dict[str, Any] | None
    finished_at: datetime | None
    remaining: list[Any] | None
    result_bytes: int


def child_outcomes(
    rows: Sequence[JoinedChildRow], read: Callable[[Sequence[UUID]], Mapping[UUID, Any]]
) -> list[ChildOutcome]:
    """Return the outcomes of the children in `rows`; `read` finds the results of some of them by their ids."""
    results = ChildResults({row["id"]: row["result_bytes"] for row in rows}, read)
    return [_child_outcome(row, UnreadResult(results, row["id"])) for row in rows]


def _child_outcome(row: JoinedChildRow, result: UnreadResult) -> ChildOutcome:
    """Return the outcome of a child; one that is still undoing has its end decided."""
    ending = row["ending"] if row["finished_at"] is None else None
    error = ending["error"] if ending else row["error"]
    return ChildOutcome(
        task_id=row["id"],
        index=row["child_index"],
        agent=row["agent"],
        status=TaskStatus(ending["status"] if ending else row["status"]),
        result=result,
        remaining=row["remaining"],
        error=ErrorInfo.model_validate(error) if error else None,
        spent=spend_of(row),
    )
