"""Schedules: rows that say when a task is to be submitted next."""

from datetime import datetime
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.access import viewer
from agent_tasks.store.database import Connection
from agent_tasks.task.identity import Identity
from agent_tasks.transitions.audit import audited, entry


class ScheduleRow(TypedDict):
    """All columns of a schedule."""

    tenant: str
    name: str
    agent: str
    input: Any
    options: dict[str, Any]
    cron: str | None
    every_seconds: float | None
    timezone: str
    next_at: datetime
    last_at: datetime | None
    last_task_id: UUID | None
    catch_up: str
    paused_at: datetime | None
    paused_by: str | None
    paused_reason: str | None


class DueRow(ScheduleRow):
    """A schedule whose time has come."""

    now: datetime


# `Identity.may_access`: whose tasks the schedule submits, it belongs to. Nobody asks for a trusted program.
_MAY_ACCESS: LiteralString = """
    (%(viewer)s::text IS NULL OR schedules.tenant = %(viewer_tenant)s AND schedules.options ->> 'identity' IS NOT NULL
        AND (%(sees_all)s OR schedules.options -> 'identity' ->> 'subject' = %(viewer)s))
"""

_PUT = f"""
    WITH put AS (
        INSERT INTO agent_tasks.schedules (tenant, name, agent, input, options, cron, every_seconds, timezone, next_at)
        VALUES (coalesce(%(viewer_tenant)s, ''), %(name)s, %(agent)s, %(input)s::jsonb, %(options)s::jsonb, %(cron)s,
                %(every_seconds)s, %(timezone)s, %(next_at)s)
        ON CONFLICT (tenant, name) DO UPDATE SET
            agent = excluded.agent, input = excluded.input, options = excluded.options, timezone = excluded.timezone,
            next_at = CASE WHEN (schedules.cron, schedules.every_seconds, schedules.timezone)
                    IS NOT DISTINCT FROM (excluded.cron, excluded.every_seconds, excluded.timezone)
                THEN schedules.next_at ELSE excluded.next_at END,
            cron = excluded.cron, every_seconds = excluded.every_seconds
        WHERE {_MAY_ACCESS}
        RETURNING *
    ), {audited("put", task_id="NULL::uuid")}
    SELECT * FROM put
"""

_REMOVE = f"""
    WITH removed AS (
        DELETE FROM agent_tasks.schedules WHERE tenant = %(tenant)s AND name = %(name)s AND {_MAY_ACCESS}
        RETURNING name
    ), {audited("removed", task_id="NULL::uuid")}
    SELECT FROM removed
"""


def put(connection: Connection, *, identity: Identity | None, **values: Any) -> ScheduleRow | None:
    """Make or change the schedule of a name in the tenant of `identity`; an unchanged rhythm keeps its next time.

    None where there is one that `identity` may not change.
    """
    said = entry("schedule", identity, target=values["name"], data={"agent": values["agent"]})
    return connection.execute(_PUT, {**values, **viewer(identity), **said}).fetchone()


def tenants_with(connection: Connection, name: str, identity: Identity | None) -> list[str]:
    """The tenants in which `identity` may see a schedule of this name."""
    sql = f"SELECT tenant FROM agent_tasks.schedules WHERE name = %(name)s AND {_MAY_ACCESS} ORDER BY tenant"
    return [row["tenant"] for row in connection.execute(sql, {"name": name, **viewer(identity)})]


def remove(connection: Connection, tenant: str, name: str, identity: Identity | None) -> bool:
    """False where there is none of this name in the tenant, or one that `identity` may not see."""
    said = entry("unschedule", identity, target=name)
    values = {"tenant": tenant, "name": name, **viewer(identity), **said}
    return connection.execute(_REMOVE, values).fetchone() is not None


def all_schedules(connection: Connection, identity: Identity | None) -> list[ScheduleRow]:
    """All schedules that `identity` may see, by name."""
    sql = f"SELECT * FROM agent_tasks.schedules WHERE {_MAY_ACCESS} ORDER BY name, tenant"
    return connection.execute(sql, viewer(identity)).fetchall()


def due(connection: Connection, *, limit: int) -> list[DueRow]:
    """Schedules whose time has come, locked until the end of this transaction; `now` is the database's time."""
    return connection.execute(
        """
        SELECT *, clock_timestamp() AS now FROM agent_tasks.schedules WHERE next_at <= statement_timestamp()
        ORDER BY next_at LIMIT %s FOR UPDATE SKIP LOCKED
        """,
        [limit],
    ).fetchall()


def fired(connection: Connection, row: DueRow, *, next_at: datetime, task_id: UUID | None) -> None:
    """Note a firing of a schedule that is `due`, in the transaction that submitted its task."""
    connection.execute(
        "UPDATE agent_tasks.schedules SET last_at = %s, next_at = %s, last_task_id = %s WHERE tenant = %s "
        "AND name = %s",
        [row["now"], next_at, task_id, row["tenant"], row["name"]],
    )


def now(connection: Connection) -> datetime:
    row = connection.execute("SELECT clock_timestamp() AS now").fetchone()
    assert row is not None
    return row["now"]
