"""Schedules: rows that say when a task is to be submitted next."""

from datetime import datetime
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.access import viewer
from agent_tasks.store.database import Connection
from agent_tasks.task.identity import Identity
from agent_tasks.transitions.audit import audited, entry, short, write


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
    paused_tenant: str | None
    paused_reason: str | None


class DueRow(ScheduleRow):
    """A schedule whose time has come."""

    now: datetime


# `Identity.may_access`: whose tasks the schedule submits, it belongs to. Nobody asks for a trusted program.
_MAY_ACCESS: LiteralString = """
    (%(viewer)s::text IS NULL OR schedules.tenant = %(viewer_tenant)s AND schedules.options ->> 'identity' IS NOT NULL
        AND (%(sees_all)s OR schedules.options -> 'identity' ->> 'subject' = %(viewer)s))
"""
# What the operators have paused, they alone let go on, or make anew.
_MAY_LET_GO: LiteralString = "(%(viewer)s::text IS NULL OR paused_at IS NULL OR paused_tenant IS NOT NULL)"

_PUT = f"""
    WITH put AS (
        INSERT INTO agent_tasks.schedules (tenant, name, agent, input, options, cron, every_seconds, timezone, next_at,
            catch_up)
        VALUES (coalesce(%(viewer_tenant)s, ''), %(name)s, %(agent)s, %(input)s::jsonb, %(options)s::jsonb, %(cron)s,
                %(every_seconds)s, %(timezone)s, %(next_at)s, %(catch_up)s)
        ON CONFLICT (tenant, name) DO UPDATE SET
            agent = excluded.agent, input = excluded.input, options = excluded.options, timezone = excluded.timezone,
            next_at = CASE WHEN (schedules.cron, schedules.every_seconds, schedules.timezone)
                    IS NOT DISTINCT FROM (excluded.cron, excluded.every_seconds, excluded.timezone)
                THEN schedules.next_at ELSE excluded.next_at END,
            cron = excluded.cron, every_seconds = excluded.every_seconds, catch_up = excluded.catch_up
        WHERE {_MAY_ACCESS}
        RETURNING *
    ), {audited("put", task_id="NULL::uuid")}
    SELECT * FROM put
"""

_REMOVE = f"""
    WITH removed AS (
        DELETE FROM agent_tasks.schedules
        WHERE tenant = %(tenant)s AND name = %(name)s AND {_MAY_ACCESS} AND {_MAY_LET_GO}
        RETURNING name
    ), {audited("removed", task_id="NULL::uuid")}
    SELECT FROM removed
"""

_PAUSE = f"""
    WITH paused AS (
        UPDATE agent_tasks.schedules SET paused_at = clock_timestamp(), paused_by = %(by)s, paused_reason = %(reason)s,
            paused_tenant = %(viewer_tenant)s
        WHERE tenant = %(tenant)s AND name = %(name)s AND paused_at IS NULL AND {_MAY_ACCESS}
        RETURNING name
    ), {audited("paused", task_id="NULL::uuid")}
    SELECT FROM paused
"""
_UNPAUSE = f"""
    WITH unpaused AS (
        UPDATE agent_tasks.schedules SET paused_at = NULL, paused_by = NULL, paused_reason = NULL,
            paused_tenant = NULL, next_at = %(next_at)s
        WHERE tenant = %(tenant)s AND name = %(name)s AND paused_at IS NOT NULL AND {_MAY_ACCESS} AND {_MAY_LET_GO}
        RETURNING name
    ), {audited("unpaused", task_id="NULL::uuid")}
    SELECT FROM unpaused
"""
_FIND = f"""
    SELECT *, clock_timestamp() AS now FROM agent_tasks.schedules
    WHERE tenant = %(tenant)s AND name = %(name)s AND {_MAY_ACCESS}
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
    """False where there is none of this name in the tenant, `identity` may not see it, or the operators pause it."""
    said = entry("unschedule", identity, target=name)
    values = {"tenant": tenant, "name": name, **viewer(identity), **said}
    return connection.execute(_REMOVE, values).fetchone() is not None


def all_schedules(connection: Connection, identity: Identity | None) -> list[ScheduleRow]:
    """All schedules that `identity` may see, by name."""
    sql = f"SELECT * FROM agent_tasks.schedules WHERE {_MAY_ACCESS} ORDER BY name, tenant"
    return connection.execute(sql, viewer(identity)).fetchall()


def pause(
    connection: Connection, tenant: str, name: str, identity: Identity | None, *, by: str, reason: str | None
) -> bool:
    """Let a schedule fire no more until it is unpaused; False where it was paused before, or there is none."""
    data = None if reason is None else {"reason": short(reason)}
    said = entry("pause_schedule", identity, target=name, data=data)
    values = {"tenant": tenant, "name": name, "by": by, "reason": reason, **viewer(identity), **said}
    return connection.execute(_PAUSE, values).fetchone() is not None


def unpause(connection: Connection, tenant: str, name: str, identity: Identity | None, *, next_at: datetime) -> bool:
    """Let a schedule fire again; False where it was not paused, there is none, or the operators have paused it."""
    said = entry("unpause_schedule", identity, target=name)
    values = {"tenant": tenant, "name": name, "next_at": next_at, **viewer(identity), **said}
    return connection.execute(_UNPAUSE, values).fetchone() is not None


def find(connection: Connection, tenant: str, name: str, identity: Identity | None, *, lock: bool) -> DueRow | None:
    """The schedule of this name in the tenant, where `identity` may see it."""
    sql = f"{_FIND} FOR UPDATE" if lock else _FIND
    return connection.execute(sql, {"tenant": tenant, "name": name, **viewer(identity)}).fetchone()


def due(connection: Connection, *, limit: int) -> list[DueRow]:
    """Schedules whose time has come, locked until the end of this transaction; `now` is the database's time."""
    return connection.execute(
        """
        SELECT *, clock_timestamp() AS now FROM agent_tasks.schedules
        WHERE next_at <= statement_timestamp() AND paused_at IS NULL ORDER BY next_at LIMIT %s FOR UPDATE SKIP LOCKED
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


def passed(connection: Connection, row: DueRow, *, next_at: datetime) -> None:
    """Pass over firings that were missed, of a schedule that makes up for none."""
    connection.execute(
        "UPDATE agent_tasks.schedules SET next_at = %s WHERE tenant = %s AND name = %s",
        [next_at, row["tenant"], row["name"]],
    )


def triggered(connection: Connection, row: DueRow, task_id: UUID, identity: Identity | None) -> None:
    """Note a firing that somebody asked for, in the transaction that submitted its task; its rhythm stays."""
    connection.execute(
        "UPDATE agent_tasks.schedules SET last_at = %s, last_task_id = %s WHERE tenant = %s AND name = %s",
        [row["now"], task_id, row["tenant"], row["name"]],
    )
    write(connection, "trigger_schedule", identity, task_id=task_id, target=row["name"])


def now(connection: Connection) -> datetime:
    row = connection.execute("SELECT clock_timestamp() AS now").fetchone()
    assert row is not None
    return row["now"]
