"""waiting → pending: what a task waited for by the clock is due."""

from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.pausing import MOVES, PAUSED
from agent_tasks.store.rows import CALLED_IN, CLOCKED_SECONDS, IDLE, SNAPSHOT, Row

# A wait for a signal that ran out goes on with its on_timeout step. Where children are to be called in, `call_in` does.
_WAKE = f"""
    WITH due AS (
        SELECT id FROM agent_tasks.tasks
        WHERE status = 'waiting' AND finished_at IS NULL AND due_at <= statement_timestamp()
            AND (waiting_for ->> 'kind' <> 'children' OR waiting_for ? 'waits' AND NOT {CALLED_IN})
            AND NOT {PAUSED} AND NOT coalesce({MOVES}, false)
        ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), changed AS (
        UPDATE agent_tasks.tasks SET step = coalesce(waiting_for ->> 'on_timeout', step),
            spent_seconds = spent_seconds + {CLOCKED_SECONDS}, {COUNTED}, {IDLE}
        WHERE id = ANY (ARRAY(SELECT id FROM due))
        RETURNING *
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


def wake(connection: Connection, *, limit: int, ring_seconds: float) -> list[Row]:
    """Wake the tasks whose timer, retry or timeout is due by the database's clock."""
    return connection.execute(
        _WAKE, {"limit": limit, "ring_seconds": ring_seconds, **event_list([("dispatched", '{"due": true}')])}
    ).fetchall()
