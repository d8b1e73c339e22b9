"""pending → pending: a bell that nobody answered is rung again."""

from agent_tasks.database import Connection
from agent_tasks.transitions.rows import COUNTED, EVENTS, SNAPSHOT, Row, event_list

SLOWEST_SECONDS = 300.0

_RING = f"""
    WITH due AS (
        SELECT id FROM tasks WHERE status = 'pending' AND due_at <= statement_timestamp()
        ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), changed AS (
        UPDATE tasks SET
            rings = least(rings + 1, 100),
            due_at = clock_timestamp()
                + make_interval(secs => least(%(slowest)s, %(ring_seconds)s * 2 ^ least(rings + 1, 30))), {COUNTED}
        FROM due WHERE tasks.id = due.id
        RETURNING tasks.*
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


def ring(connection: Connection, *, limit: int, ring_seconds: float) -> list[Row]:
    """Ring again for tasks pending too long; each time the wait doubles, so that a long queue is not flooded."""
    events = event_list([("dispatched", '{"again": true}')])
    return connection.execute(
        _RING, {"limit": limit, "ring_seconds": ring_seconds, "slowest": SLOWEST_SECONDS, **events}
    ).fetchall()
