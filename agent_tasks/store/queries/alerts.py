"""Reading the alerts of a deployment, and how they stand."""

from datetime import datetime
from typing import Any, LiteralString

from agent_tasks.store.access import viewer
from agent_tasks.store.database import Connection
from agent_tasks.store.queries.alert_values import MeasuredRule
from agent_tasks.task.identity import Identity

# What is measured of the tasks of a whole tenant belongs to those who may see all of them.
MAY_ACCESS: LiteralString = """
    (%(viewer)s::text IS NULL OR alerts.tenant = %(viewer_tenant)s AND %(sees_all)s AND NOT alerts.everywhere)
"""
"""The condition of whom `viewer` may see and change, within a statement on `alerts`."""
ALERT: LiteralString = """
    alerts.tenant, alerts.name, alerts.everywhere, alerts.kind, alerts.threshold, alerts.window_seconds, alerts.agent,
    alerts.queue, alerts.waits_for, alerts.least, alerts.created_at, alerts.state, alerts.since, alerts.value,
    alerts.found, alerts.checked_at, alerts.run, alerts.agent IS NOT NULL AND NOT EXISTS (
        SELECT FROM agent_tasks.agents WHERE agents.name = alerts.agent) AS unknown_agent
"""
"""The columns of an `AlertRow`."""


class AlertRow(MeasuredRule):
    """An alert, and how it stands."""

    name: str
    threshold: float
    created_at: datetime
    state: str
    since: datetime
    value: float | None
    found: dict[str, Any] | None
    checked_at: datetime | None
    run: int
    unknown_agent: bool


def find(connection: Connection, tenant: str, name: str, identity: Identity | None) -> AlertRow | None:
    """Return the alert of this name in the tenant; None where there is none, or one that `identity` may not see."""
    sql = f"SELECT {ALERT} FROM agent_tasks.alerts WHERE tenant = %(tenant)s AND name = %(name)s AND {MAY_ACCESS}"
    return connection.execute(sql, {"tenant": tenant, "name": name, **viewer(identity)}).fetchone()


def all_alerts(connection: Connection, tenant: str | None, identity: Identity | None) -> list[AlertRow]:
    """Return all alerts that `identity` may see, or those of a tenant, by name."""
    sql = f"""
        SELECT {ALERT} FROM agent_tasks.alerts
        WHERE tenant = coalesce(%(tenant)s, tenant) AND {MAY_ACCESS} ORDER BY name, tenant
    """
    return connection.execute(sql, {"tenant": tenant, **viewer(identity)}).fetchall()
