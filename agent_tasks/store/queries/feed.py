"""No arrow: what happened in a tenant, in the order of the commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.access import viewer
from agent_tasks.store.database import Connection
from agent_tasks.store.queries.walk import LOOKED_AT
from agent_tasks.task.identity import Identity

Place = tuple[int, int]
"""A transaction and an event of it: the order of the feed."""
OLDEST: Place = (0, 0)

# What is sent to one endpoint alone, to try it, happened to nobody else.
_TOLD: LiteralString = "type <> 'webhook.ping'"
# A transaction that is still open has an id of pg_snapshot_xmin or above: nothing can appear below that any more. Where
# the tenant is another one than the viewer's, there is nothing: a place to go on from would tell what happened there.
_AHEAD: LiteralString = """
    tenant = %(tenant)s AND (xid, id) > (%(after_xid)s::text::xid8, %(after_id)s)
    AND xid < pg_snapshot_xmin(pg_current_snapshot())
    AND (%(viewer)s::text IS NULL OR %(tenant)s::text = %(viewer_tenant)s)
"""
# An alert of no tenant tells of the tasks of all tenants.
_MAY_SEE: LiteralString = """
    (%(viewer)s::text IS NULL OR CASE
        WHEN %(sees_all)s THEN subject IS NOT NULL OR task_id IS NULL AND (tenant <> '' OR type NOT LIKE 'alert.%%')
        ELSE subject = %(viewer)s END)
"""
_PAGE: LiteralString = f"""
    WITH page AS (
        SELECT xid, id, task_id, seq, type, subject, agent, status, version, data, at FROM (
            SELECT * FROM agent_tasks.outbox WHERE {_AHEAD} ORDER BY xid, id LIMIT (SELECT %(looked_at)s::int)
        ) AS outbox WHERE {_TOLD} AND {_MAY_SEE} ORDER BY xid, id LIMIT %(limit)s
    ), edge AS (
        SELECT xid, id, at FROM agent_tasks.outbox WHERE (SELECT count(*) FROM page) < %(limit)s AND {_AHEAD}
        ORDER BY xid, id OFFSET (SELECT %(looked_at)s::int - 1) LIMIT 1
    )
    SELECT statement_timestamp() AS now, edge.xid::text AS edge_xid, edge.id AS edge_id, edge.at AS edge_at,
        page.xid::text AS place, page.*
    FROM (SELECT) AS one LEFT JOIN edge ON true LEFT JOIN page ON true ORDER BY page.xid, page.id
"""


class EventRow(TypedDict):
    """An event as the outbox has it."""

    id: int
    place: str
    """The id of its transaction."""
    task_id: UUID | None
    seq: int | None
    type: str
    subject: str | None
    agent: str | None
    status: str | None
    version: int | None
    data: Any
    at: datetime


class FoundRow(EventRow):
    """An event that was found, and where the look ended if the page is not full."""

    now: datetime
    edge_xid: str | None
    edge_id: int | None
    edge_at: datetime | None


@dataclass(frozen=True)
class Found:
    """Events in their order, and from where to go on."""

    rows: Sequence[EventRow]
    next: Place
    read_until: datetime
    """Up to when all has been read."""
    now: datetime


def events(
    connection: Connection,
    tenant: str,
    identity: Identity | None,
    *,
    after: Place = OLDEST,
    limit: int = 100,
    looked_at: int = LOOKED_AT,
) -> Found:
    """Find the first events behind `after` of a tenant, those that `identity` may see.

    An event is left for later while a transaction that began before its own is still open, so that no event appears
    behind one that was read. It looks at `looked_at` rows, and may find fewer than `limit` while there are more.
    """
    values = {"tenant": tenant, "after_xid": str(after[0]), "after_id": after[1], "limit": limit}
    values |= {"looked_at": looked_at, **viewer(identity)}
    found: list[FoundRow] = connection.execute(_PAGE, values, prepare=False).fetchall()
    rows = [row for row in found if row["id"] is not None]  # pyright: ignore[reportUnnecessaryComparison]
    first = found[0]
    if len(rows) == limit:
        return Found(rows, (int(rows[-1]["place"]), rows[-1]["id"]), rows[-1]["at"], first["now"])
    if first["edge_xid"] is not None and first["edge_id"] is not None and first["edge_at"] is not None:
        return Found(rows, (int(first["edge_xid"]), first["edge_id"]), first["edge_at"], first["now"])
    last = (int(rows[-1]["place"]), rows[-1]["id"]) if rows else after
    return Found(rows, last, first["now"], first["now"])
