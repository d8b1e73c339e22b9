"""pending, running, waiting → the same, on another queue or with another priority."""

from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.history import written
from agent_tasks.store.pausing import BACK, OPEN_CALLS, settled
from agent_tasks.store.rows import GIVEN_IDS, SNAPSHOT, Row

# A task that is pending is rung where it now belongs, and looked for later as after any bell. The bell that lies where
# it was is as good: whoever claims the step first runs it. Of one that runs the next step is rung there. What was put
# off for a pause is seen by the sweeps again, and put off once more where it is still paused.
# On another queue it has all of its TTL again: nobody there may have looked at it yet. Its time-outs and its clock go
# by the pauses of the queue on which it waited: these are summed up before it leaves.
_EVENTS: LiteralString = """
        SELECT id, event_seq, '{type}', jsonb_build_object('{column}', %(value)s::{kind}) FROM changed
"""
_MOVE: LiteralString = """
    WITH locked AS (
        SELECT id FROM agent_tasks.tasks WHERE {given} AND status IN ('pending', 'running', 'waiting')
            AND {column} <> %(value)s::{kind}
        ORDER BY id FOR NO KEY UPDATE
    ){calls}, changed AS (
        UPDATE agent_tasks.tasks SET {column} = %(value)s::{kind}, version = version + 1, event_seq = event_seq + 1,
            rings = CASE WHEN status = 'pending' THEN 0 ELSE rings END,
            due_at = CASE WHEN status = 'pending' THEN clock_timestamp() + make_interval(secs => %(ring_seconds)s)
                ELSE {back} END, put_off_by = NULL{since}
        WHERE id = ANY (ARRAY(SELECT id FROM locked))
        RETURNING *
    ), {events}
    SELECT {columns} FROM changed AS tasks
"""


_ANY_PAUSE: LiteralString = "EXISTS (SELECT FROM agent_tasks.pauses AS any_pause)"
_SETTLED: LiteralString = f""", settled AS (
        UPDATE agent_tasks.calls SET wait = {settled("calls.wait")} FROM agent_tasks.tasks
        WHERE tasks.id = ANY (ARRAY(SELECT id FROM locked)) AND {_ANY_PAUSE} AND {OPEN_CALLS}
    )"""
_SINCE: LiteralString = f""",
            waiting_for = CASE WHEN {_ANY_PAUSE} THEN {settled("tasks.waiting_for")} ELSE waiting_for END,
            pending_since = CASE WHEN status = 'pending' THEN clock_timestamp() ELSE pending_since END,
            refused = CASE WHEN status = 'pending' THEN refused || jsonb_build_object('since', clock_timestamp())
                ELSE refused END
"""


def _statement(
    column: LiteralString,
    kind: LiteralString,
    type: LiteralString,
    since: LiteralString = "",
    calls: LiteralString = "",
) -> LiteralString:
    events = written(_EVENTS.format(type=type, column=column, kind=kind))
    return _MOVE.format(
        given=GIVEN_IDS,
        column=column,
        kind=kind,
        events=events,
        columns=SNAPSHOT,
        back=BACK,
        since=since,
        calls=calls,
    )


_TO_QUEUE = _statement("queue", "text", "moved", _SINCE, _SETTLED)
_TO_PRIORITY = _statement("priority", "smallint", "prioritised")


def move(connection: Connection, task_ids: Sequence[UUID], queue: str, *, ring_seconds: float) -> list[Row]:
    """Move those of these tasks that live, and are elsewhere, to a queue."""
    return _run(connection, _TO_QUEUE, task_ids, queue, ring_seconds)


def prioritise(connection: Connection, task_ids: Sequence[UUID], priority: int, *, ring_seconds: float) -> list[Row]:
    """Give those of these tasks that live, and have another, a priority."""
    return _run(connection, _TO_PRIORITY, task_ids, priority, ring_seconds)


def _run(
    connection: Connection, statement: LiteralString, task_ids: Sequence[UUID], value: Any, ring_seconds: float
) -> list[Row]:
    values = {"ids": list(task_ids), "value": value, "ring_seconds": ring_seconds}
    return connection.execute(statement, values, prepare=False).fetchall()
