"""Reading the endpoints that are registered for webhooks."""

from datetime import datetime
from typing import LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.access import viewer
from agent_tasks.store.database import Connection
from agent_tasks.task.identity import Identity

# What is told of the tasks of a whole tenant belongs to those who may see all of them.
MAY_ACCESS: LiteralString = """
    (%(viewer)s::text IS NULL OR webhooks.tenant = %(viewer_tenant)s
        AND (%(sees_all)s OR webhooks.subject = %(viewer)s))
"""
"""The condition of whom `viewer` may see and change, within a statement on `webhooks`."""
WEBHOOK: LiteralString = """
    webhooks.id, webhooks.tenant, name, subject, url, types, agents, payload, ordered, secret, disabled_at,
    disabled_why, created_at, CASE WHEN old_until > clock_timestamp() THEN old_until END AS rotating_until,
    (SELECT failing_since FROM agent_tasks.lanes WHERE lanes.name = 'webhook:' || webhooks.id) AS failing_since
"""
"""The columns of a `WebhookRow`."""


class WebhookRow(TypedDict):
    """An endpoint, and how it stands."""

    id: UUID
    tenant: str
    name: str
    subject: str | None
    url: str
    types: list[str] | None
    agents: list[str] | None
    payload: str
    ordered: bool
    secret: str
    disabled_at: datetime | None
    disabled_why: str | None
    created_at: datetime
    rotating_until: datetime | None
    failing_since: datetime | None


def find(connection: Connection, tenant: str, name: str, identity: Identity | None) -> WebhookRow | None:
    """Return the endpoint of this name in the tenant; None where there is none, or one that `identity` may not see."""
    sql = f"SELECT {WEBHOOK} FROM agent_tasks.webhooks WHERE tenant = %(tenant)s AND name = %(name)s AND {MAY_ACCESS}"
    return connection.execute(sql, {"tenant": tenant, "name": name, **viewer(identity)}).fetchone()


def all_webhooks(connection: Connection, tenant: str | None, identity: Identity | None) -> list[WebhookRow]:
    """Return all endpoints that `identity` may see, or those of a tenant, by name."""
    sql = f"""
        SELECT {WEBHOOK} FROM agent_tasks.webhooks
        WHERE tenant = coalesce(%(tenant)s, tenant) AND {MAY_ACCESS} ORDER BY name, tenant
    """
    return connection.execute(sql, {"tenant": tenant, **viewer(identity)}).fetchall()
