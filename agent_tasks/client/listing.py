"""Finding tasks: a page of those that are asked for, the newest first."""

import base64
import binascii
import hashlib
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from agent_tasks.client.serving import with_unserved
from agent_tasks.deployment import Deployment
from agent_tasks.errors import InvalidInput
from agent_tasks.store.access import may_see
from agent_tasks.store.queries import read, search
from agent_tasks.task.arguments import check_kind, check_text, check_whole, is_storable, refused, shown
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus

LARGEST_PAGE = 1_000


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
    """Write a place as text, with a mark by which cursors from elsewhere are told apart."""
    return base64.urlsafe_b64encode(place.bytes + _mark(place.bytes)).decode()


def _place_of(cursor: str) -> UUID:
    try:
        place = base64.b64decode(cursor.encode("ascii"), b"-_", validate=True)
        if len(place) == 18 and _mark(place[:16]) == place[16:]:
            return UUID(bytes=place[:16])
    except (AttributeError, UnicodeEncodeError, binascii.Error):
        pass  # no base64 at all: refused below, as one without our mark
    raise InvalidInput(
        f"after={shown(cursor)} is no cursor of a search here: give the `next` of the page before, as it is, or leave "
        "it out for the first page.",
        field="after",
    )


def _mark(place: bytes) -> bytes:
    return hashlib.sha256(b"agent-tasks search" + place).digest()[:2]
