"""Schedules: rows that say when a task is to be submitted next."""

from datetime import datetime
from typing import Any
from uuid import UUID

from agent_tasks.database import Connection
from agent_tasks.transitions.rows import Row

_PUT = """
    INSERT INTO schedules (name, agent, input, options, cron, every_seconds, timezone, next_at)
    VALUES (%(name)s, %(agent)s, %(input)s::jsonb, %(options)s::jsonb, %(cron)s, %(every_seconds)s, %(timezone)s,
            %(next_at)s)
    ON CONFLICT (name) DO UPDATE SET
        agent = excluded.agent, input = excluded.input, options = excluded.options, timezone = excluded.timezone,
        next_at = CASE WHEN (schedules.cron, schedules.every_seconds, schedules.timezone)
                IS NOT DISTINCT FROM (excluded.cron, excluded.every_seconds, excluded.timezone)
            THEN schedules.next_at ELSE excluded.next_at END,
        cron = excluded.cron, every_seconds = excluded.every_seconds
    RETURNING *
"""


def put(connection: Connection, **values: Any) -> Row:
    """Make or change the schedule of a name; an unchanged rhythm keeps its next time."""
    row = connection.execute(_PUT, values).fetchone()
    assert row is not None
    return row


def remove(connection: Connection, name: str) -> bool:
    return connection.execute("DELETE FROM schedules WHERE name = %s", [name]).rowcount > 0


def all_schedules(connection: Connection) -> list[Row]:
    return connection.execute("SELECT * FROM schedules ORDER BY name").fetchall()


def due(connection: Connection, *, limit: int) -> list[Row]:
    """Schedules whose time has come, locked until the end of this transaction; `now` is the database's time."""
    return connection.execute(
        """
        SELECT *, clock_timestamp() AS now FROM schedules WHERE next_at <= statement_timestamp()
        ORDER BY next_at LIMIT %s FOR UPDATE SKIP LOCKED
        """,
        [limit],
    ).fetchall()


def fired(connection: Connection, name: str, *, at: datetime, next_at: datetime, task_id: UUID | None) -> None:
    """Note a firing, in the transaction that submitted its task."""
    connection.execute(
        "UPDATE schedules SET last_at = %s, next_at = %s, last_task_id = %s WHERE name = %s",
        [at, next_at, task_id, name],
    )


def now(connection: Connection) -> datetime:
    row = connection.execute("SELECT clock_timestamp() AS now").fetchone()
    assert row is not None
    return row["now"]
