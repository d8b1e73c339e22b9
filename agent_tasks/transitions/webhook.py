"""Endpoints of webhooks: rows that say who is told of which events, where, and with which secret it is signed."""

from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.access import viewer
from agent_tasks.store.database import Connection
from agent_tasks.store.queries.webhooks import MAY_ACCESS, WEBHOOK, WebhookRow, find
from agent_tasks.task.identity import Identity
from agent_tasks.transitions.audit import audited, entry

# A secret that is replaced signs for a while beside the new one.
_NEW_SECRET: LiteralString = """
    secret = coalesce(%(secret)s::text, webhooks.secret),
    old_secret = CASE WHEN %(secret)s::text <> webhooks.secret THEN webhooks.secret ELSE webhooks.old_secret END,
    old_until = CASE WHEN %(secret)s::text <> webhooks.secret
        THEN clock_timestamp() + make_interval(secs => %(overlap)s) ELSE webhooks.old_until END
"""
_ONE: LiteralString = f"tenant = %(tenant)s AND name = %(name)s AND {MAY_ACCESS}"

# Who did not answer may do so elsewhere: its failures are forgotten. Who may not be told of all that was to be
# delivered is another endpoint, with an id of its own: nothing of that is sent to it.
_PUT = f"""
    WITH before AS (
        SELECT id, url FROM agent_tasks.webhooks WHERE tenant = %(tenant)s AND name = %(name)s
    ), put AS (
        INSERT INTO agent_tasks.webhooks (
            id, tenant, name, subject, trusted, url, types, agents, payload, ordered, secret)
        VALUES (%(id)s, %(tenant)s, %(name)s, %(subject)s, %(viewer)s::text IS NULL, %(url)s, %(types)s, %(agents)s,
            %(payload)s, %(ordered)s, coalesce(%(secret)s::text, %(made)s))
        ON CONFLICT (tenant, name) DO UPDATE SET
            id = CASE WHEN excluded.subject <> coalesce(webhooks.subject, '') OR excluded.trusted < webhooks.trusted
                THEN excluded.id ELSE webhooks.id END,
            subject = excluded.subject, trusted = excluded.trusted, url = excluded.url,
            types = excluded.types, agents = excluded.agents,
            payload = excluded.payload, ordered = excluded.ordered, {_NEW_SECRET}
        WHERE {MAY_ACCESS}
        RETURNING *
    ), forgotten AS (
        DELETE FROM agent_tasks.lanes USING before, put
        WHERE (before.id, before.url) <> (put.id, put.url) AND lanes.name = 'webhook:' || before.id
    ), {audited("put", task_id="NULL::uuid")}
    SELECT id FROM put
"""

_ROTATE = f"""
    WITH rotated AS (
        UPDATE agent_tasks.webhooks SET {_NEW_SECRET} WHERE {_ONE} RETURNING *
    ), {audited("rotated", task_id="NULL::uuid")}
    SELECT {WEBHOOK} FROM rotated AS webhooks
"""

# The audit hears of what changes: the update comes after the look. What failed before is not counted after an enable.
_SWITCH = f"""
    WITH other AS (
        SELECT id FROM agent_tasks.webhooks WHERE {_ONE} AND (disabled_at IS NULL) = %(disable)s FOR UPDATE
    ), switched AS (
        UPDATE agent_tasks.webhooks SET
            disabled_at = CASE WHEN %(disable)s THEN coalesce(disabled_at, clock_timestamp()) END,
            disabled_why = CASE WHEN %(disable)s THEN coalesce(disabled_why, 'asked') END
        FROM (SELECT count(*) FROM other) AS looked WHERE {_ONE}
        RETURNING webhooks.*
    ), forgotten AS (
        DELETE FROM agent_tasks.lanes USING other WHERE NOT %(disable)s AND lanes.name = 'webhook:' || other.id
    ), {audited("other", task_id="NULL::uuid")}
    SELECT id FROM switched
"""

_REMOVE = f"""
    WITH removed AS (
        DELETE FROM agent_tasks.webhooks WHERE {_ONE} RETURNING id
    ), forgotten AS (
        DELETE FROM agent_tasks.lanes USING removed WHERE lanes.name = 'webhook:' || removed.id
    ), {audited("removed", task_id="NULL::uuid")}
    SELECT FROM removed
"""

_PING = f"""
    WITH pinged AS (
        SELECT * FROM agent_tasks.webhooks WHERE {_ONE} AND disabled_at IS NULL FOR KEY SHARE
    ), told AS (
        INSERT INTO agent_tasks.outbox (type, tenant, subject, data)
        SELECT 'webhook.ping', tenant, subject, jsonb_build_object('webhook', name) FROM pinged
        RETURNING id, type
    ), sent AS (
        INSERT INTO agent_tasks.deliveries (outbox_id, webhook_id, lane, tenant, subject, type, ordered)
        SELECT told.id, pinged.id, 'webhook:' || pinged.id, tenant, subject, told.type, false FROM told, pinged
        RETURNING id
    ), {audited("sent", task_id="NULL::uuid")}
    SELECT id FROM sent
"""

_OTHERS = """
    SELECT count(*) AS of_tenant, count(*) FILTER (WHERE subject IS NOT DISTINCT FROM %(subject)s) AS of_subject
    FROM agent_tasks.webhooks WHERE tenant = %(tenant)s AND name <> %(name)s
"""


class Others(TypedDict):
    """How many endpoints there are beside one: of its tenant, and of these for the same subject."""

    of_tenant: int
    of_subject: int


def put(connection: Connection, *, identity: Identity | None, data: dict[str, Any], **values: Any) -> WebhookRow | None:
    """Register an endpoint, or change the one of its name: all but its secret, unless there is a new `secret`.

    `made` is the secret of a new one. `data`: what the audit keeps. None where there is one that `identity` may not
    change.
    """
    said = entry("put_webhook", identity, target=values["name"], data=data)
    put = connection.execute(_PUT, {**values, **viewer(identity), **said}).fetchone()
    return put and find(connection, values["tenant"], values["name"], identity)


def others(connection: Connection, tenant: str, name: str, subject: str | None) -> Others:
    """Count the endpoints beside that of this name."""
    row: Others | None = connection.execute(_OTHERS, {"tenant": tenant, "name": name, "subject": subject}).fetchone()
    assert row is not None
    return row


def rotate(
    connection: Connection, tenant: str, name: str, identity: Identity | None, *, secret: str, overlap: float
) -> WebhookRow | None:
    """Replace the secret; the old one signs, too, for `overlap` seconds. None where there is no such endpoint."""
    values = {**_named("rotate_webhook", tenant, name, identity), "secret": secret, "overlap": overlap}
    return connection.execute(_ROTATE, values).fetchone()


def switch(
    connection: Connection, tenant: str, name: str, identity: Identity | None, *, disable: bool
) -> WebhookRow | None:
    """Disable the endpoint, or enable it. None where there is none that `identity` may change."""
    operation = "disable_webhook" if disable else "enable_webhook"
    values = {**_named(operation, tenant, name, identity), "disable": disable}
    switched = connection.execute(_SWITCH, values).fetchone()
    return switched and find(connection, tenant, name, identity)


def remove(connection: Connection, tenant: str, name: str, identity: Identity | None) -> bool:
    """False where there is no such endpoint. What is still to be delivered to it is dropped by the deliverer."""
    return connection.execute(_REMOVE, _named("remove_webhook", tenant, name, identity)).fetchone() is not None


def ping(connection: Connection, tenant: str, name: str, identity: Identity | None) -> UUID | None:
    """Tell the endpoint, and no other, that it is there; the delivery's id. None where it is not there or disabled."""
    row = connection.execute(_PING, _named("ping_webhook", tenant, name, identity)).fetchone()
    return row["id"] if row else None


def _named(operation: str, tenant: str, name: str, identity: Identity | None) -> dict[str, Any]:
    said = entry(operation, identity, target=name)
    return {"tenant": tenant, "name": name, **viewer(identity), **said}
