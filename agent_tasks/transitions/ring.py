"""pending → pending: a bell that nobody answered is rung again, or is looked for later where it may still wait."""

from collections.abc import Collection
from typing import Any, LiteralString, TypedDict

from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.pausing import FAR
from agent_tasks.store.rows import SNAPSHOT, Row

SLOWEST_SECONDS = 300.0

# Those that were put off have no bells.
_PENDING = (
    "SELECT queue, count(*) AS tasks FROM agent_tasks.tasks WHERE status = 'pending' "
    f"AND finished_at IS NULL AND due_at < {FAR} GROUP BY queue"
)


class _PendingRow(TypedDict):
    queue: str
    tasks: int


_DUE: LiteralString = """
    SELECT id FROM agent_tasks.tasks WHERE status = 'pending' AND finished_at IS NULL
        AND due_at <= statement_timestamp()
        AND {which} ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""
_LATER: LiteralString = """
    rings = least(rings + 1, 100),
    due_at = clock_timestamp() + make_interval(secs => least(%(slowest)s, %(ring_seconds)s * 2 ^ least(rings + 1, 30)))
"""

_RING = f"""
    WITH due AS ({_DUE.format(which="queue <> ALL (%(queues)s)")}), changed AS (
        UPDATE agent_tasks.tasks SET {_LATER}, {COUNTED} WHERE id = ANY (ARRAY(SELECT id FROM due)) RETURNING *
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""

_POSTPONE = f"""
    WITH due AS ({_DUE.format(which="queue = ANY (%(queues)s)")})
    UPDATE agent_tasks.tasks SET {_LATER} WHERE id = ANY (ARRAY(SELECT id FROM due))
"""


def pending_by_queue(connection: Connection) -> dict[str, int]:
    """How many tasks are pending on each queue that has any, but for those that were put off."""
    rows: list[_PendingRow] = connection.execute(_PENDING, prepare=False).fetchall()
    return {row["queue"]: row["tasks"] for row in rows}


def ring(
    connection: Connection, *, limit: int, ring_seconds: float, but_for: Collection[str] = frozenset()
) -> list[Row]:
    """Ring again for tasks pending too long, `but_for` those on these queues; each time the wait doubles."""
    events = event_list([("dispatched", '{"again": true}')])
    return connection.execute(_RING, {**_terms(limit, ring_seconds, but_for), **events}, prepare=False).fetchall()


def postpone(connection: Connection, queues: Collection[str], *, limit: int, ring_seconds: float) -> int:
    """Look later at tasks pending too long on these queues, without a bell; returns how many."""
    return connection.execute(_POSTPONE, _terms(limit, ring_seconds, queues), prepare=False).rowcount


def _terms(limit: int, ring_seconds: float, queues: Collection[str]) -> dict[str, Any]:
    return {"limit": limit, "ring_seconds": ring_seconds, "slowest": SLOWEST_SECONDS, "queues": list(queues)}
