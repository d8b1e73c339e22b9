"""No arrow: reading deliveries of webhooks, the newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.access import viewer
from agent_tasks.store.database import Connection
from agent_tasks.store.queries.walk import LOOKED_AT
from agent_tasks.task.identity import Identity

Place = tuple[datetime, UUID]
"""When a delivery was made, and its id: the order of the lists."""
NEWEST: Place = (datetime(9999, 12, 31, tzinfo=UTC), UUID(int=2**128 - 1))

_COLUMNS: LiteralString = """
    deliveries.id, outbox_id, webhook_id, webhooks.name AS webhook, coalesce(deliveries.url, webhooks.url) AS url,
    deliveries.tenant, deliveries.subject, task_id, seq, type, status, attempt, due_at, answer, error,
    deliveries.created_at, last_at, ended_at
"""
_WITH_ENDPOINT: LiteralString = "LEFT JOIN agent_tasks.webhooks ON webhooks.id = deliveries.webhook_id"

# A delivery belongs to whom the task belongs to, and its endpoint, if it has one.
MAY_SEE: LiteralString = """
    (%(viewer)s::text IS NULL OR deliveries.tenant = %(viewer_tenant)s AND CASE
        WHEN %(sees_all)s THEN deliveries.subject IS NOT NULL OR deliveries.task_id IS NULL
        ELSE deliveries.subject = %(viewer)s AND (deliveries.webhook_id IS NULL OR EXISTS (
            SELECT FROM agent_tasks.webhooks AS own
            WHERE own.id = deliveries.webhook_id AND own.subject = %(viewer)s)) END)
"""
"""The condition of whom `viewer` may see, within a statement on `deliveries`."""

_ALONG: dict[str, LiteralString] = {
    "task_id": "deliveries.task_id = %(task_id)s",
    "webhook": """deliveries.webhook_id = (
        SELECT id FROM agent_tasks.webhooks WHERE tenant = %(tenant)s AND name = %(webhook)s)""",
    "tenant": "deliveries.tenant = %(tenant)s",
}
"""Each has an index that goes on by time and id: the first that is given is the one that is walked along."""
_ASKED: dict[str, LiteralString] = {
    **_ALONG,
    "status": "deliveries.status = %(status)s",
    "type": "deliveries.type = %(type)s",
}

# Where a look ends among another tenant's it leads nowhere: the place would tell what is there.
_PAGE: LiteralString = f"""
    WITH page AS (
        SELECT {_COLUMNS} FROM (
            SELECT * FROM agent_tasks.deliveries WHERE (created_at, id) < (%(after_at)s, %(after_id)s) {{along}}
            ORDER BY created_at DESC, id DESC LIMIT (SELECT %(looked_at)s::int)
        ) AS deliveries {_WITH_ENDPOINT}
        WHERE {MAY_SEE} {{asked}} ORDER BY deliveries.created_at DESC, deliveries.id DESC LIMIT %(limit)s
    ), edge AS (
        SELECT created_at, id FROM (
            SELECT created_at, id, tenant FROM agent_tasks.deliveries
            WHERE (SELECT count(*) FROM page) < %(limit)s AND (created_at, id) < (%(after_at)s, %(after_id)s) {{along}}
            ORDER BY created_at DESC, id DESC OFFSET (SELECT %(looked_at)s::int - 1) LIMIT 1
        ) AS last WHERE %(viewer)s::text IS NULL OR tenant = %(viewer_tenant)s
    )
    SELECT edge.created_at AS edge_at, edge.id AS edge_id, page.*
    FROM (SELECT) AS one LEFT JOIN edge ON true LEFT JOIN page ON true ORDER BY page.created_at DESC, page.id DESC
"""
_ONE: LiteralString = f"""
    SELECT {_COLUMNS} FROM agent_tasks.deliveries {_WITH_ENDPOINT} WHERE deliveries.id = %(id)s AND {MAY_SEE}
"""


class DeliveryRow(TypedDict):
    """A delivery, with its endpoint as that is now."""

    id: UUID
    outbox_id: int
    webhook_id: UUID | None
    webhook: str | None
    url: str | None
    tenant: str
    subject: str | None
    task_id: UUID | None
    seq: int | None
    type: str
    status: str
    attempt: int
    due_at: datetime | None
    answer: int | None
    error: str | None
    created_at: datetime
    last_at: datetime | None
    ended_at: datetime | None


class FoundRow(DeliveryRow):
    """A delivery that was found, and where the look ended if the page is not full."""

    edge_at: datetime | None
    edge_id: UUID | None


@dataclass(frozen=True)
class Found:
    """Deliveries that are what was asked for, and the place below which to go on; None where there are no more."""

    rows: Sequence[DeliveryRow]
    next: Place | None


def deliveries(
    connection: Connection,
    identity: Identity | None,
    *,
    after: Place = NEWEST,
    limit: int = 100,
    looked_at: int = LOOKED_AT,
    **asked: Any,
) -> Found:
    """Find the newest deliveries below `after` that `identity` may see and that match what is `asked`.

    It looks at `looked_at` rows along an index, and may find fewer than `limit` while there are more.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    if identity is not None:
        given.setdefault("tenant", identity.tenant)
    along = next((name for name in _ALONG if name in given), None)
    sql = _PAGE.format(
        along=f"AND {_ALONG[along]}" if along else "",
        asked="".join(f" AND {_ASKED[name]}" for name in given if name != along),
    )
    values = {**given, **viewer(identity), "after_at": after[0], "after_id": after[1]}
    values |= {"limit": limit + 1, "looked_at": looked_at}
    found: list[FoundRow] = connection.execute(sql, values, prepare=False).fetchall()
    rows = [row for row in found if row["id"] is not None]  # pyright: ignore[reportUnnecessaryComparison]
    if len(rows) > limit:
        return Found(rows[:limit], (rows[limit - 1]["created_at"], rows[limit - 1]["id"]))
    at, id = found[0]["edge_at"], found[0]["edge_id"]
    return Found(rows, None if at is None or id is None else (at, id))


def delivery(connection: Connection, id: UUID, identity: Identity | None) -> DeliveryRow | None:
    """Return a delivery that `identity` may see; None if there is none of this id."""
    return connection.execute(_ONE, {"id": id, **viewer(identity)}).fetchone()
