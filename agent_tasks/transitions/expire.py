"""running → pending or failed: the lease is over, the worker is dead or asleep."""

from agent_tasks.database import Connection
from agent_tasks.transitions.rows import COUNTED, ENDED, EVENTS, IDLE, SNAPSHOT, Row, event_list

_EXPIRED = """
    SELECT id FROM tasks WHERE status = 'running' AND due_at < clock_timestamp() AND {which}
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""
_UNTIL_EXPIRY = "extract(epoch FROM due_at - claimed_at)"

_EXPIRE = f"""
    WITH expired AS ({_EXPIRED.format(which="crashes + 1 < %(poison_crashes)s")}), changed AS (
        UPDATE tasks SET crashes = crashes + 1, spent_seconds = spent_seconds + {_UNTIL_EXPIRY}, {COUNTED}, {IDLE}
        FROM expired WHERE tasks.id = expired.id
        RETURNING tasks.*
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""

_POISON = f"""
    WITH expired AS ({_EXPIRED.format(which="crashes + 1 >= %(poison_crashes)s")}), changed AS (
        UPDATE tasks SET
            status = 'failed', crashes = crashes + 1, spent_seconds = spent_seconds + {_UNTIL_EXPIRY},
            error = jsonb_build_object(
                'type', 'poison', 'retryable', false, 'retry_after', NULL, 'suggested_action', 'escalate',
                'message', format('Step %%s was running when its worker died, %%s times in a row. Look at the '
                    'workers'' logs for what killed them (memory, a crash in native code), then resume the task.',
                    step, crashes + 1),
                'details', jsonb_build_object('step', step, 'crashes', crashes + 1, 'worker', worker),
                'checkpoint', nullif(step_number, 0)), {COUNTED}, {ENDED}
        FROM expired WHERE tasks.id = expired.id
        RETURNING tasks.*
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


def expire(connection: Connection, *, limit: int, ring_seconds: float, poison_crashes: int) -> list[Row]:
    """Take expired leases back: the step runs again from its checkpoint, or ends as poison."""
    common = {"limit": limit, "poison_crashes": poison_crashes, "ring_seconds": ring_seconds}
    rows = connection.execute(
        _POISON,
        {
            **common,
            **event_list([("expired", None), ("finished", '{"status": "failed", "error": "poison"}')]),
        },
    ).fetchall()
    return rows + (
        connection.execute(_EXPIRE, {**common, **event_list([("expired", None), ("dispatched", None)])}).fetchall()
    )
