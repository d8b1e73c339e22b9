"""waiting → waiting: a time-out moves by as long as its task was paused since the wait began."""

from typing import LiteralString

from agent_tasks.store.database import Connection
from agent_tasks.store.pausing import CALL_MOVES, MOVES, OPEN_CALLS, PAUSED, moved
from agent_tasks.store.rows import SNAPSHOT, Row
from agent_tasks.transitions.open_wait import SHOWN

_DUE: LiteralString = f"""
        SELECT tasks.id FROM agent_tasks.tasks
        WHERE tasks.status = 'waiting' AND tasks.finished_at IS NULL AND tasks.due_at <= statement_timestamp()
            AND coalesce({MOVES}, false) AND NOT {PAUSED}
        ORDER BY tasks.due_at LIMIT %(limit)s FOR NO KEY UPDATE OF tasks SKIP LOCKED
"""

# The waits of a parked step are in the ledger, and the row sums them up.
_SHIFT = f"""
    WITH due AS MATERIALIZED ({_DUE}), waits AS MATERIALIZED (
        SELECT tasks.id, tasks.step_number, call.ordinal, call.moves, call.wait,
            row_number() OVER (PARTITION BY tasks.id ORDER BY call.ordinal) AS place
        FROM (SELECT tasks.* FROM agent_tasks.tasks WHERE id = ANY (ARRAY(SELECT id FROM due))) AS tasks, LATERAL (
            SELECT NULL::int AS ordinal, true AS moves, {moved("tasks.waiting_for")} AS wait
            WHERE NOT tasks.waiting_for ? 'waits'
            UNION ALL
            SELECT ordinal, moves, CASE WHEN moves THEN {moved("calls.wait")} ELSE calls.wait END FROM (
                SELECT calls.ordinal, calls.wait, coalesce({CALL_MOVES}, false) AS moves FROM agent_tasks.calls
                WHERE tasks.waiting_for ? 'waits' AND {OPEN_CALLS} OFFSET 0
            ) AS calls
        ) AS call
    ), recorded AS (
        UPDATE agent_tasks.calls SET wait = waits.wait FROM waits
        WHERE calls.task_id = waits.id AND calls.step_number = waits.step_number AND calls.ordinal = waits.ordinal
            AND waits.moves
    ), summed AS (
        SELECT id, min((wait ->> 'until')::timestamptz) AS due,
            jsonb_agg(wait ORDER BY ordinal) FILTER (WHERE place <= %(shown)s AND ordinal IS NOT NULL) AS waits,
            jsonb_agg(wait) FILTER (WHERE ordinal IS NULL) -> 0 AS alone
        FROM waits GROUP BY id
    ), changed AS (
        UPDATE agent_tasks.tasks SET due_at = summed.due, version = version + 1,
            waiting_for = coalesce(summed.alone,
                tasks.waiting_for || jsonb_build_object('until', summed.due, 'waits', summed.waits))
        FROM summed WHERE tasks.id = summed.id
        RETURNING tasks.*
    )
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


def shift(connection: Connection, *, limit: int) -> list[Row]:
    """Move the time-outs that are due before their time, since their tasks were paused; returns these tasks."""
    return connection.execute(_SHIFT, {"limit": limit, "shown": SHOWN}, prepare=False).fetchall()
