"""running → pending or failed: the lease is over, the worker is dead or asleep."""

from typing import LiteralString, TypedDict
from uuid import UUID

from agent_tasks.errors import ErrorInfo, ErrorType
from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list, written
from agent_tasks.store.rows import ENDING_EVENT, IDLE, SNAPSHOT, Row, ending
from agent_tasks.transitions.undo import Undoing, UndoingRow, undone

_EXPIRED: LiteralString = """
    SELECT id FROM agent_tasks.tasks WHERE status = 'running' AND finished_at IS NULL
        AND due_at < statement_timestamp() AND {which}
        AND pg_postmaster_start_time() < statement_timestamp() - make_interval(secs => %(lease_seconds)s)
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""
# A step that ran beside others when their process died is suspect, as they are: none of them has crashed. What runs
# alone has. (A process of the quarantine that dies with one step is seen to by `died`.)
_IS_POISON: LiteralString = "(suspect = 2 AND crashes + 1 >= %(poison_crashes)s)"
_UNTIL_EXPIRY: LiteralString = "greatest(0, extract(epoch FROM due_at - claimed_at))"

_EXPIRE = f"""
    WITH expired AS ({_EXPIRED.format(which=f"NOT {_IS_POISON}")}), changed AS (
        UPDATE agent_tasks.tasks SET
            crashes = crashes + (suspect = 2)::int, attempt = attempt - (suspect < 2)::int,
            uncounted = uncounted + (suspect < 2)::int, suspect = least(suspect + 1, 2),
            spent_seconds = spent_seconds + {_UNTIL_EXPIRY}, {COUNTED}, {IDLE}
        WHERE id = ANY (ARRAY(SELECT id FROM expired))
        RETURNING *
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""

_POISONED = """
    jsonb_build_object(
        'type', 'poison', 'retryable', false, 'retry_after', NULL, 'suggested_action', 'escalate',
        'message', format('Step %%s ran alone in its process when that died, %%s times in a row. Look at the '
            'workers'' logs for what killed it (memory, a crash in native code), then resume the task.',
            step, crashes + 1),
        'details', jsonb_build_object('step', step, 'crashes', crashes + 1, 'worker', worker),
        'checkpoint', nullif(step_number, 0))
"""

_EXPIRED_EVENTS: LiteralString = """
        SELECT id, event_seq - 1, 'expired', NULL::jsonb FROM changed
"""

_POISON = f"""
    WITH expired AS ({_EXPIRED.format(which=f"{_IS_POISON} AND ending IS NULL")}), changed AS (
        UPDATE agent_tasks.tasks SET spent_seconds = spent_seconds + {_UNTIL_EXPIRY},
            version = version + 1, event_seq = event_seq + 2,
            {ending("'failed'", _POISONED)}
        WHERE id = ANY (ARRAY(SELECT id FROM expired))
        RETURNING *
    ), {written(_EXPIRED_EVENTS, "expiry_added")}, {ENDING_EVENT}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""

_POISONED_UNDO = _EXPIRED.format(which=f"{_IS_POISON} AND ending IS NOT NULL").replace(
    "SELECT id", "SELECT id, run, step, step_number, undo_step"
)


def expire(
    connection: Connection, *, limit: int, ring_seconds: float, lease_seconds: float, poison_crashes: int
) -> list[Row]:
    """Take expired leases back: the step is suspect and runs again from its checkpoint, or ends as poison.

    Within a transaction. After a restart of Postgres the workers have one lease's time to say that they live.
    """
    common = {
        "limit": limit,
        "poison_crashes": poison_crashes,
        "ring_seconds": ring_seconds,
        "lease_seconds": lease_seconds,
    }
    rows: list[Row] = connection.execute(_POISON, {**common, "event_data": '{"error": "poison"}'}).fetchall()
    failure = ErrorInfo(type=ErrorType.POISON, message="its worker died each time it ran")
    undoing: list[UndoingRow] = connection.execute(_POISONED_UNDO, common).fetchall()
    for row in undoing:
        rows.append(undone(connection, Undoing.from_row(row), failure=failure, ring_seconds=ring_seconds))
    expired = event_list([("expired", None), ("dispatched", None)])
    return rows + connection.execute(_EXPIRE, {**common, **expired}).fetchall()


_DIED = """
    WITH owned AS (
        SELECT id FROM agent_tasks.tasks WHERE status = 'running' AND finished_at IS NULL AND worker = %(worker)s
    )
    UPDATE agent_tasks.tasks SET
        due_at = clock_timestamp(), suspect = CASE WHEN (SELECT count(*) FROM owned) = 1 THEN 2 ELSE suspect END
    WHERE id = ANY (ARRAY(SELECT id FROM owned)) AND status = 'running' AND worker = %(worker)s
    RETURNING id, step, (SELECT count(*) FROM owned) = 1 AS alone
"""


class DiedRow(TypedDict):
    """A step whose process died."""

    id: UUID
    step: str
    alone: bool
    """Whether the process had no other step: then this one has crashed."""


def died(connection: Connection, worker: str) -> list[DiedRow]:
    """End the leases of a process of the quarantine that is dead; where it had a single step, that one has crashed."""
    return connection.execute(_DIED, {"worker": worker}).fetchall()
