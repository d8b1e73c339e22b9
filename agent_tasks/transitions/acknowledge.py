"""terminal → terminal: someone has taken the result, so it may be purged sooner."""

from collections.abc import Sequence
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.rows import GIVEN_IDS, SNAPSHOT, Row
from agent_tasks.task.identity import Identity
from agent_tasks.transitions.audit import audited, entry

_ACKNOWLEDGE = f"""
    WITH changed AS (
        UPDATE agent_tasks.tasks SET acknowledged_at = clock_timestamp(), version = version + 1
        WHERE id = %(id)s AND finished_at IS NOT NULL AND acknowledged_at IS NULL
        RETURNING *
    ), {audited("changed", task_id="id")}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""

_ACKNOWLEDGE_ALL = f"""
    WITH locked AS (
        SELECT id FROM agent_tasks.tasks WHERE {GIVEN_IDS} AND finished_at IS NOT NULL AND acknowledged_at IS NULL
        ORDER BY id FOR NO KEY UPDATE
    ), changed AS (
        UPDATE agent_tasks.tasks SET acknowledged_at = clock_timestamp(), version = version + 1
        WHERE id = ANY (ARRAY(SELECT id FROM locked))
        RETURNING *
    )
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


def acknowledge(connection: Connection, task_id: UUID, identity: Identity | None = None) -> Row | None:
    """The row, where this call was the one that acknowledged it."""
    return connection.execute(_ACKNOWLEDGE, {"id": task_id, **entry("acknowledge", identity)}).fetchone()


def acknowledge_all(connection: Connection, task_ids: Sequence[UUID]) -> list[Row]:
    """The rows of those that this call was the one to acknowledge; the audit has one row for all of them."""
    return connection.execute(_ACKNOWLEDGE_ALL, {"ids": list(task_ids)}, prepare=False).fetchall()
