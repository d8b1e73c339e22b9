"""The recorded calls of a task: which there were, what came of each, and what it cost."""

import struct
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from agent_tasks.client.cursors import cursor, place_of
from agent_tasks.client.listing import LARGEST_PAGE
from agent_tasks.deployment import Deployment
from agent_tasks.store.queries import calls as queries
from agent_tasks.task.arguments import check_whole

_KIND = "calls"
_PLACE = struct.Struct(">ii")


class CallInfo(BaseModel):
    """A recorded call, or a wait within a step."""

    model_config = ConfigDict(frozen=True)

    step_number: int
    """The number of its step; of an undo function -1 less the number of the step that it undoes."""
    ordinal: int
    """Its place in the order in which the calls of its step were begun, from 0."""
    name: str
    """The function's name, or that of `ctx.using(name=)`."""
    status: str
    """started, completed, failed or cancelled."""
    attempts: int
    """How often it was begun."""
    tokens: int
    """What was charged within it; `usd` likewise. Of a call that an earlier task had made, nothing is this task's."""
    usd: float
    started_at: datetime
    finished_at: datetime | None = None


class CallPage(BaseModel):
    """Some of a task's recorded calls."""

    model_config = ConfigDict(frozen=True)

    calls: list[CallInfo]
    """By step and ordinal."""
    next: str | None
    """The cursor of the next page, for `calls(after=…)`; None on the last one."""


def find_calls(deployment: Deployment, task_id: UUID, *, limit: int, after: str | None) -> CallPage:
    """Raise InvalidInput for a limit or a cursor that is none."""
    check_whole(limit, "limit", 1, LARGEST_PAGE)
    place = None if after is None else _PLACE.unpack(place_of(_KIND, after, _PLACE.size))
    with deployment.database.connection() as connection:
        calls = [CallInfo.model_validate(row) for row in queries.calls(connection, task_id, place, limit)]
    last = calls[-1] if len(calls) == limit else None
    return CallPage(calls=calls, next=last and cursor(_KIND, _PLACE.pack(last.step_number, last.ordinal)))
