"""Finding tasks, the newest first, a page at a time."""

from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.queries.walk import LOOKED_AT, page
from agent_tasks.store.rows import SNAPSHOT, Row
from agent_tasks.task.identity import Identity

OF_SESSION: LiteralString = "left(session_id, 256) = left(%(session_id)s::text, 256)"
"""Found by the index, which has no more of it."""
NEWEST = UUID(int=2**128 - 1)

_CONDITIONS: dict[str, LiteralString] = {
    "session_id": f"{OF_SESSION} AND session_id = %(session_id)s",
    "viewer_tenant": "identity IS NOT NULL AND tenant = %(viewer_tenant)s",
    "viewer": "identity ->> 'subject' = %(viewer)s",
    "owned_by": "identity IS NOT NULL AND tenant = %(owned_by)s",
    "status": "tasks.status = %(status)s",
    "agent": "tasks.agent = %(agent)s",
    "tenant": "tasks.tenant = %(tenant)s",
    "subject": "tasks.identity ->> 'subject' = %(subject)s",
}


class FoundRow(Row):
    """A task that was found, and where the look ended if the page is not full."""

    edge: UUID | None


@dataclass(frozen=True)
class Found:
    """Tasks that are what was asked for, and the id below which to go on; None where there are no more."""

    rows: list[Row]
    next: UUID | None


def tasks(
    connection: Connection,
    *,
    identity: Identity | None = None,
    session_id: str | None = None,
    after: UUID | None = None,
    limit: int = 100,
    looked_at: int = LOOKED_AT,
    **asked: Any,
) -> Found:
    """Find the newest tasks with an id below `after` that `identity` may see and that match what is `asked`.

    It looks at `looked_at` rows along an index, of the session, the identity or the tenant, and may find fewer than
    `limit` while there are more.
    """
    along: dict[str, Any] = {"session_id": session_id}
    if identity is not None:
        along["viewer_tenant"] = identity.tenant
        along["viewer"] = None if "tasks:all" in identity.scopes else identity.subject
    elif asked.get("tenant"):  # who is of no tenant may be without an identity, too
        along["owned_by"] = asked["tenant"]
    along = {name: value for name, value in along.items() if value is not None}
    asked = {name: value for name, value in asked.items() if value is not None}
    sql = page("tasks", SNAPSHOT, _CONDITIONS, along=along, asked=asked)
    values = {**along, **asked, "after": after or NEWEST, "limit": limit + 1, "looked_at": looked_at}
    found: list[FoundRow] = connection.execute(sql, values, prepare=False).fetchall()
    rows: list[Row] = [row for row in found if row["id"] is not None]  # pyright: ignore[reportUnnecessaryComparison]
    if len(rows) > limit:
        return Found(rows[:limit], rows[limit - 1]["id"])
    return Found(rows, found[0]["edge"])
