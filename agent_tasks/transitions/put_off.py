"""pending or waiting → the same: no sweep sees a paused task, until its pause has ended."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.pausing import BROUGHT_BACK, FAR, HOLDS, PAUSED, PUT_OFF
from agent_tasks.store.queries.pauses import any_hold
from agent_tasks.store.rows import GIVEN_IDS, SNAPSHOT, Row

# What is put off for a pause that has just ended would be brought back by nobody. A row's own lock would not do: those
# who share it let each other in past whoever waits to end the pause.
_LOCK = 0x61742D7061757365
"""The advisory lock of all pauses: shared by whoever puts off, alone for whoever ends one. The bytes of "at-pause"."""
_SHARE = "SELECT pg_advisory_xact_lock_shared(%s)"
_ALONE = "SELECT pg_advisory_xact_lock(%s)"

_DUE: LiteralString = """
    SELECT tasks.id FROM agent_tasks.tasks
    WHERE tasks.status = '{status}' AND tasks.finished_at IS NULL AND tasks.due_at <= statement_timestamp()
    ORDER BY tasks.due_at LIMIT %(limit)s
"""
_DUE_PENDING: LiteralString = _DUE.format(status="pending")
_DUE_WAITING: LiteralString = _DUE.format(status="waiting")

_PUT: LiteralString = f"""
    WITH held AS MATERIALIZED (
        SELECT tasks.id FROM agent_tasks.tasks
        WHERE {GIVEN_IDS} AND tasks.finished_at IS NULL AND {{state}} AND {PAUSED}
        ORDER BY tasks.id FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE agent_tasks.tasks SET {PUT_OFF},
        put_off_by = (SELECT pauses.id FROM agent_tasks.pauses WHERE {HOLDS} ORDER BY pauses.id LIMIT 1)
    WHERE tasks.id = ANY (ARRAY(SELECT id FROM held))
"""
_PUT_DUE: LiteralString = _PUT.format(
    state="tasks.status IN ('pending', 'waiting') AND tasks.due_at <= statement_timestamp()"
)
_PUT_PENDING: LiteralString = _PUT.format(state="tasks.status = 'pending'")

_ENDED = "SELECT id FROM agent_tasks.pauses WHERE released_at IS NULL AND ended_at IS NOT NULL ORDER BY id LIMIT 100"
_OF_PAUSE: LiteralString = "put_off_by = %(pause)s AND finished_at IS NULL"

# Their bells were taken. No sweep would find that out where many others wait on the queue with theirs.
_RING = f"""
    WITH held AS (
        SELECT tasks.id FROM agent_tasks.tasks
        WHERE {_OF_PAUSE} AND status = 'pending' AND due_at > {FAR} AND NOT {PAUSED}
        LIMIT %(limit)s FOR NO KEY UPDATE OF tasks SKIP LOCKED
    ), changed AS (
        UPDATE agent_tasks.tasks SET put_off_by = NULL, rings = 0,
            due_at = clock_timestamp() + make_interval(secs => %(ring_seconds)s), {COUNTED}
        WHERE id = ANY (ARRAY(SELECT id FROM held))
        RETURNING *
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""
_BRING_BACK = f"""
    WITH held AS (
        SELECT tasks.id FROM agent_tasks.tasks
        WHERE {_OF_PAUSE} AND (status <> 'pending' OR due_at <= {FAR} OR {PAUSED})
        LIMIT %(limit)s FOR NO KEY UPDATE OF tasks SKIP LOCKED
    )
    UPDATE agent_tasks.tasks SET {BROUGHT_BACK} WHERE id = ANY (ARRAY(SELECT id FROM held))
"""
_RELEASED = f"""
    UPDATE agent_tasks.pauses SET released_at = clock_timestamp()
    WHERE id = %(pause)s AND NOT EXISTS (SELECT FROM agent_tasks.tasks WHERE {_OF_PAUSE})
"""


def put_off(connection: Connection, *, limit: int) -> int:
    """Put off what is due of paused tasks, looking at `limit` pending and as many waiting ones; returns how many."""
    if not any_hold(connection):
        return 0
    values = {"limit": limit}
    due = connection.execute(_DUE_PENDING, values, prepare=False).fetchall()
    due += connection.execute(_DUE_WAITING, values, prepare=False).fetchall()
    return _put(connection, _PUT_DUE, [row["id"] for row in due])


def put_off_given(connection: Connection, task_ids: Sequence[UUID]) -> None:
    """Put off those of these tasks that are pending and paused: their bells were taken for nothing."""
    if any_hold(connection):
        _put(connection, _PUT_PENDING, task_ids)


def keep_from_putting_off(connection: Connection) -> None:
    """Wait until nobody puts tasks off, and let nobody until this transaction ends: a pause ends in it."""
    connection.execute(_ALONE, [_LOCK])


def _put(connection: Connection, statement: LiteralString, task_ids: Sequence[UUID]) -> int:
    if not task_ids:
        return 0
    with connection.transaction():
        connection.execute(_SHARE, [_LOCK])
        return connection.execute(statement, {"ids": list(task_ids)}, prepare=False).rowcount


def ended(connection: Connection) -> list[int]:
    """The ids of pauses that have ended and for which something may be put off, at most 100."""
    return [row["id"] for row in connection.execute(_ENDED).fetchall()]


def ring_again(connection: Connection, pause_id: int, *, limit: int, ring_seconds: float) -> list[Row]:
    """Bring back what is pending and was put off for a pause that has ended: these tasks are to be rung."""
    values = {"pause": pause_id, "limit": limit, "ring_seconds": ring_seconds}
    events = event_list([("dispatched", '{"again": true}')])
    return connection.execute(_RING, {**values, **events}, prepare=False).fetchall()


def bring_back(connection: Connection, pause_id: int, *, limit: int) -> int:
    """Bring the rest back to the sweeps: what waits, and what another pause holds for; returns how many.

    Where nothing is left the pause is looked at no more.
    """
    values = {"pause": pause_id, "limit": limit}
    moved = connection.execute(_BRING_BACK, values, prepare=False).rowcount
    if not moved:
        connection.execute(_RELEASED, values, prepare=False)
    return moved
