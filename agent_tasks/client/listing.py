"""Finding tasks: a page of those that are asked for, the newest first."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict

from agent_tasks.client.cursors import cursor, place_of
from agent_tasks.client.serving import with_unserved
from agent_tasks.deployment import Deployment
from agent_tasks.store.access import may_see
from agent_tasks.store.queries import read, search
from agent_tasks.task.arguments import check_kind, check_text, check_whole, is_storable, refused
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus

LARGEST_PAGE = 1_000
_KIND = "search"


class Page(BaseModel):
    """One page of `AgentTasks.search`."""

    model_config = ConfigDict(frozen=True)

    tasks: list[TaskSnapshot]
    """The tasks that match, the newest first."""
    next: str | None
    """The cursor of the next page, for `search(after=…)`; None on the last one. A short or empty page may have one."""


def find_tasks(
    deployment: Deployment,
    *,
    status: TaskStatus | str | None,
    agent: str | None,
    tenant: str | None,
    subject: str | None,
    session_id: str | None,
    limit: int,
    after: str | None,
    identity: Identity | None,
) -> Page:
    """Do what `AgentTasks.search` does. Raises InvalidInput."""
    if status is not None and status not in tuple(TaskStatus):
        raise refused(f"status must be one of {', '.join(TaskStatus)}", status, "status")
    check_filters(agent=agent, tenant=tenant, subject=subject)
    check_kind(session_id, "session_id", str, "text")
    if session_id is not None and not is_storable(session_id):
        raise refused("session_id must have no NUL character and no lone surrogate", session_id, "session_id")
    check_identity(identity)
    check_whole(limit, "limit", 1, LARGEST_PAGE)
    below = _place_of(after) if after is not None else None
    with deployment.database.connection() as connection:
        found = search.tasks(
            connection,
            identity=identity,
            session_id=session_id,
            after=below,
            limit=limit,
            status=None if status is None else str(status),
            agent=agent,
            tenant=tenant,
            subject=subject,
        )
        tasks = with_unserved(deployment, connection, TaskSnapshot.from_rows(found.rows))
    return Page(tasks=tasks, next=_cursor(found.next) if found.next else None)


def find_children(
    deployment: Deployment, parent_id: UUID, *, limit: int, after: str | None, identity: Identity | None
) -> Page:
    """Raise InvalidInput for a limit or a cursor that is none."""
    check_whole(limit, "limit", 1, LARGEST_PAGE)
    place = None if after is None else _place_of(after)
    with deployment.database.connection() as connection:
        rows = read.page_of_children(connection, parent_id, place, limit)
        seen = [row for row in rows if may_see(identity, row)]
        tasks = with_unserved(deployment, connection, TaskSnapshot.from_rows(seen))
    return Page(tasks=tasks, next=_cursor(rows[-1]["id"]) if len(rows) == limit else None)


def check_filters(**filters: str | None) -> None:
    """Raise InvalidInput for a filter that is no text, or empty; the empty tenant is that of no tenant."""
    for field, value in filters.items():
        if value is not None and not (field == "tenant" and value == ""):
            check_text(value, field, 256)


def _cursor(place: UUID) -> str:
    return cursor(_KIND, place.bytes)


def _place_of(given: str) -> UUID:
    return UUID(bytes=place_of(_KIND, given, 16))
