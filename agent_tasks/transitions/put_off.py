"""pending or waiting → the same: no sweep sees a paused task, until its pause has ended."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.pausing import BROUGHT_BACK, FAR, HOLDS, PAUSED, PUT_OFF
from agent_tasks.store.queries.pauses import any_hold
from agent_tasks.store.rows import GIVEN_IDS, SNAPSHOT, Row

# The lock on the pause keeps it from ending before this has committed: what is put off for a pause that has ended would
# be brought back by nobody.
_HELD: LiteralString = f"""
    LATERAL (
        SELECT pauses.id AS pause FROM agent_tasks.pauses WHERE {HOLDS} ORDER BY pauses.id LIMIT 1 FOR SHARE
    ) AS held
"""
_PUT: LiteralString = f"""
    UPDATE agent_tasks.tasks SET put_off_by = held.pause, {PUT_OFF} FROM held WHERE tasks.id = held.id
"""

_PUT_DUE: LiteralString = f"""
    WITH held AS MATERIALIZED (
        SELECT tasks.id, held.pause FROM agent_tasks.tasks, {_HELD}
        WHERE tasks.status = '{{status}}' AND tasks.finished_at IS NULL AND tasks.due_at <= statement_timestamp()
        ORDER BY tasks.due_at LIMIT %(limit)s FOR NO KEY UPDATE OF tasks SKIP LOCKED
    )
    {_PUT}
"""
_PUT_PENDING = _PUT_DUE.format(status="pending")
_PUT_WAITING = _PUT_DUE.format(status="waiting")
_PUT_GIVEN = f"""
    WITH held AS MATERIALIZED (
        SELECT tasks.id, held.pause FROM agent_tasks.tasks, {_HELD}
        WHERE {GIVEN_IDS} AND tasks.status = 'pending' FOR NO KEY UPDATE OF tasks SKIP LOCKED
    )
    {_PUT}
"""

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
    """Put off what is due of paused tasks, at most `limit` pending and as many waiting ones; returns how many."""
    if not any_hold(connection):
        return 0
    values = {"limit": limit}
    pending = connection.execute(_PUT_PENDING, values, prepare=False).rowcount
    return pending + connection.execute(_PUT_WAITING, values, prepare=False).rowcount


def put_off_given(connection: Connection, task_ids: Sequence[UUID]) -> None:
    """Put off those of these tasks that are pending and paused: their bells were taken for nothing."""
    if any_hold(connection):
        connection.execute(_PUT_GIVEN, {"ids": list(task_ids)}, prepare=False)


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
