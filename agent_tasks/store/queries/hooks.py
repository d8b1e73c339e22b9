"""What hooks ask of the tasks that they speak to: the newest of a lineage, and who has answered it."""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.rows import SNAPSHOT, Row

_LINEAGE: LiteralString = """
    (tasks.id = %(lineage)s OR tasks.lineage_id = %(lineage)s AND tasks.lineage_id <> tasks.id)
"""

_NEWEST = f"""
    SELECT {SNAPSHOT}, clock_timestamp() AS now FROM agent_tasks.tasks WHERE {_LINEAGE}
    ORDER BY created_at DESC, id DESC LIMIT 1
"""

_USED_AT = """
    SELECT min(sent_at) AS at FROM agent_tasks.signals
    WHERE task_id = %(id)s AND name = %(name)s AND wait_id = %(wait_id)s AND consumed_step IS DISTINCT FROM -1
"""

_FIRST_ANSWER = f"""
    SELECT receipt FROM agent_tasks.signals
    WHERE signal_id = %(signal_id)s AND task_id = ANY (ARRAY(SELECT id FROM agent_tasks.tasks WHERE {_LINEAGE}))
        AND receipt IS NOT NULL
    ORDER BY seq DESC LIMIT 1
"""


class NewestRow(Row):
    """A task's row, and the time by the database's clock."""

    now: datetime


def newest(connection: Connection, lineage_id: UUID) -> NewestRow | None:
    """Return the last task that was resumed of those from `lineage_id` on; None if all are purged."""
    return connection.execute(_NEWEST, {"lineage": lineage_id}).fetchone()


def used_at(connection: Connection, task_id: UUID, name: str, wait_id: str) -> datetime | None:
    """Return when this wait was answered by a signal of this name that named it, and was not refused; None if never."""
    row = connection.execute(_USED_AT, {"id": task_id, "name": name, "wait_id": wait_id}).fetchone()
    return row["at"] if row else None


def first_answer(connection: Connection, lineage_id: UUID, signal_id: str) -> dict[str, Any] | None:
    """Return the kept receipt of this signal, to whichever task of the lineage it was sent; None if it was not."""
    row = connection.execute(_FIRST_ANSWER, {"lineage": lineage_id, "signal_id": signal_id}).fetchone()
    return row["receipt"] if row else None
