"""pending, delivered, failed or dropped → pending: events are delivered to an endpoint once more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypedDict
from uuid import UUID

from agent_tasks.store.access import viewer
from agent_tasks.store.database import Connection
from agent_tasks.store.queries.deliveries import MAY_SEE
from agent_tasks.store.queries.feed import Place
from agent_tasks.store.queries.webhooks import MAY_ACCESS
from agent_tasks.task.identity import Identity
from agent_tasks.transitions import audit

LOOKED_AT = 2_000
"""Events that one transaction looks at."""


class NotReplayed(StrEnum):
    """Why a delivery is not made again."""

    UNKNOWN = "unknown"
    REMOVED = "removed"
    """Its endpoint is there no more."""
    DISABLED = "disabled"
    """Its endpoint is told nothing now."""
    GONE = "gone"
    """Its receiver, a callback of the task, has said that it is there no more (410)."""
    DELETED = "deleted"
    """The event that it told of is kept no more."""


class Target(TypedDict):
    """Where deliveries go: an endpoint, or the callback of a task."""

    webhook_id: UUID | None
    lane: str
    url: str | None
    """Of a callback."""
    ordered: bool


class Endpoint(Target):
    """Where deliveries go, and whether it is told anything now."""

    is_disabled: bool


class _Known(Endpoint):
    """A delivery that is to be made again."""

    outbox_id: int
    task_id: UUID | None
    webhook: str | None
    is_gone: bool


class _Looked(TypedDict):
    events: list[int]
    last_xid: str | None
    last_id: int | None


@dataclass(frozen=True)
class Bounds:
    """From where to where events are delivered again; None: from the oldest, to the newest."""

    after: Place | None = None
    until: Place | None = None
    since: datetime | None = None
    before: datetime | None = None


# `ordered` as the endpoint is now.
_KNOWN = f"""
    SELECT outbox_id, task_id, webhook_id, lane, deliveries.url, webhooks.name AS webhook,
        coalesce(webhooks.ordered, deliveries.ordered) AS ordered, webhooks.disabled_at IS NOT NULL AS is_disabled,
        webhook_id IS NULL AND EXISTS (
            SELECT FROM agent_tasks.deliveries AS told
            WHERE told.task_id = deliveries.task_id AND told.webhook_id IS NULL AND told.answer = 410) AS is_gone
    FROM agent_tasks.deliveries LEFT JOIN agent_tasks.webhooks ON webhooks.id = deliveries.webhook_id
    WHERE deliveries.id = %(id)s AND {MAY_SEE}
"""

_ENDPOINT = f"""
    SELECT id AS webhook_id, 'webhook:' || id AS lane, NULL AS url, ordered, disabled_at IS NOT NULL AS is_disabled
    FROM agent_tasks.webhooks WHERE tenant = %(tenant)s AND name = %(name)s AND {MAY_ACCESS}
"""

_LOOK = """
    WITH looked AS MATERIALIZED (
        SELECT * FROM agent_tasks.outbox
        WHERE tenant = %(tenant)s AND (xid, id) > (%(after_xid)s::text::xid8, %(after_id)s)
            AND (xid, id) <= (%(until_xid)s::text::xid8, %(until_id)s)
        ORDER BY xid, id LIMIT (SELECT %(looked_at)s::int)
    ), last AS (
        SELECT xid::text AS last_xid, id AS last_id FROM looked
        ORDER BY xid DESC, id DESC OFFSET (SELECT 0) LIMIT 1
    )
    SELECT last_xid, last_id, ARRAY (
        SELECT looked.id FROM looked JOIN agent_tasks.webhooks ON webhooks.id = %(webhook_id)s
        WHERE looked.task_id IS NOT NULL AND (webhooks.subject = looked.subject
                OR webhooks.subject IS NULL AND (webhooks.trusted OR looked.subject IS NOT NULL))
            AND (types IS NULL OR looked.type = ANY (types)) AND (agents IS NULL OR looked.agent = ANY (agents))
            AND (%(since)s::timestamptz IS NULL OR looked.at >= %(since)s)
            AND (%(before)s::timestamptz IS NULL OR looked.at < %(before)s)
            AND (%(again)s OR NOT EXISTS (
                SELECT FROM agent_tasks.deliveries
                WHERE outbox_id = looked.id AND deliveries.webhook_id = webhooks.id AND status = 'delivered'))
        ORDER BY looked.id
    ) AS events
    FROM last
"""

# Whoever replays the same event at the same time waits here, and then finds the other's delivery; no sweep deletes it.
_LOCK = "SELECT id FROM agent_tasks.outbox WHERE id = ANY (%s) ORDER BY id FOR NO KEY UPDATE"

# The next statement, so that it sees what those did who held the lock. A delivery that waits for its next attempt is
# sent now, in place of a second one; one that waits for an earlier one of its task goes on doing so.
_REPLAY = """
    WITH living AS (
        UPDATE agent_tasks.deliveries SET due_at = CASE
            WHEN due_at > clock_timestamp() + make_interval(secs => %(lease)s) THEN clock_timestamp() ELSE due_at END
        WHERE outbox_id = ANY (%(events)s) AND lane = %(lane)s AND url IS NOT DISTINCT FROM %(url)s
            AND status = 'pending'
        RETURNING id, outbox_id
    ), made AS (
        INSERT INTO agent_tasks.deliveries (
            outbox_id, webhook_id, lane, url, tenant, subject, task_id, seq, type, ordered)
        SELECT id, %(webhook_id)s, %(lane)s, %(url)s, tenant, subject, task_id, seq, type, %(ordered)s
        FROM agent_tasks.outbox
        WHERE id = ANY (%(events)s) AND NOT EXISTS (SELECT FROM living WHERE living.outbox_id = outbox.id)
        ORDER BY id
        RETURNING id
    ), tried AS (
        UPDATE agent_tasks.lanes SET retry_at = clock_timestamp(), asked_until = NULL
        WHERE name = %(lane)s AND greatest(retry_at, asked_until) > clock_timestamp()
    )
    SELECT id FROM living UNION ALL SELECT id FROM made
"""


def replay(connection: Connection, id: UUID, identity: Identity | None, *, lease_seconds: float) -> UUID | NotReplayed:
    """Deliver an event once more to where it went; returns the id of the new delivery. In a transaction.

    If the event is still to be delivered there, that delivery is due now, and none is made. One that is due within
    `lease_seconds` may be on its way, and is left alone.
    """
    known: _Known | None = connection.execute(_KNOWN, {"id": id, **viewer(identity)}).fetchone()
    if known is None:
        return NotReplayed.UNKNOWN
    if known["webhook_id"] is not None and known["webhook"] is None:
        return NotReplayed.REMOVED
    if known["is_disabled"]:
        return NotReplayed.DISABLED
    if known["is_gone"]:
        return NotReplayed.GONE
    made = _replay(connection, [known["outbox_id"]], known, lease_seconds)
    if not made:
        return NotReplayed.DELETED
    data = {"webhook": known["webhook"]} if known["webhook"] is not None else None
    audit.write(connection, "replay_delivery", identity, task_id=known["task_id"], target=str(id), data=data)
    return made[0]


def endpoint(connection: Connection, tenant: str, name: str, identity: Identity | None) -> Endpoint | None:
    """Return the endpoint of a tenant that has this name; None if there is none that `identity` may see."""
    return connection.execute(_ENDPOINT, {"tenant": tenant, "name": name, **viewer(identity)}).fetchone()


def replay_some(
    connection: Connection, tenant: str, target: Target, bounds: Bounds, *, again: bool, lease_seconds: float
) -> tuple[int, Place | None]:
    """Deliver to an endpoint once more what its tenant's first events within the bounds tell it.

    Those that have come there are left out, unless `again`. Returns how many there were, and from where to go on; None
    at the end. In a transaction.
    """
    after, until = bounds.after or (0, 0), bounds.until or (2**64 - 1, 2**63 - 1)
    values: dict[str, Any] = {"tenant": tenant, "webhook_id": target["webhook_id"], "again": again}
    values |= {"since": bounds.since, "before": bounds.before, "looked_at": LOOKED_AT}
    values |= {"after_xid": str(after[0]), "after_id": after[1], "until_xid": str(until[0]), "until_id": until[1]}
    looked: _Looked | None = connection.execute(_LOOK, values, prepare=False).fetchone()
    if looked is None or looked["last_xid"] is None or looked["last_id"] is None:
        return 0, None
    made = _replay(connection, looked["events"], target, lease_seconds)
    return len(made), (int(looked["last_xid"]), looked["last_id"])


def _replay(connection: Connection, events: Sequence[int], target: Target, lease_seconds: float) -> list[UUID]:
    if not events:
        return []
    connection.execute(_LOCK, [list(events)])
    where = {name: target[name] for name in ("webhook_id", "lane", "url", "ordered")}
    values: dict[str, Any] = {"events": list(events), "lease": lease_seconds, **where}
    return [row["id"] for row in connection.execute(_REPLAY, values)]
