"""pending, running, waiting → cancelled: a task and all below it."""

import json
from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

from agent_tasks.database import Connection
from agent_tasks.errors import ErrorInfo
from agent_tasks.transitions.rows import COUNTED, ENDED, EVENTS, SNAPSHOT, Row, event_list

# A running step is told by word on Redis and by its next heartbeat; its commit is fenced off from here on.


def _cancel(root: LiteralString) -> LiteralString:
    return f"""
    WITH RECURSIVE tree AS (
        SELECT id FROM tasks WHERE {root}
        UNION ALL
        SELECT tasks.id FROM tasks JOIN tree ON tasks.parent_id = tree.id
    ), living AS (
        SELECT tasks.id, tasks.status AS was FROM tasks JOIN tree USING (id)
        WHERE tasks.finished_at IS NULL ORDER BY tasks.id FOR UPDATE OF tasks
    ), changed AS (
        UPDATE tasks SET
            status = 'cancelled', error = %(error)s::jsonb || jsonb_build_object('checkpoint', nullif(step_number, 0)),
            spent_seconds = spent_seconds + CASE WHEN living.was = 'running'
                THEN extract(epoch FROM clock_timestamp() - claimed_at) ELSE 0 END, {COUNTED}, {ENDED}
        FROM living WHERE tasks.id = living.id
        RETURNING tasks.*, living.was
    ), {EVENTS}
    SELECT {SNAPSHOT}, tasks.was FROM changed AS tasks
    """


_CANCEL = _cancel("id = ANY (%(ids)s)")
_CANCEL_BELOW = _cancel("parent_id = ANY (%(ids)s)")


def cancel(connection: Connection, task_id: UUID, error: ErrorInfo) -> list[Row]:
    """Cancel the subtree; returns the tasks that it ended, none where all had ended before.

    `was` in a row is the status it had.
    """
    return _run(connection, _CANCEL, [task_id], error)


def cancel_below(connection: Connection, task_ids: Sequence[UUID], error: ErrorInfo) -> list[Row]:
    """Cancel what is below these tasks, and not them; otherwise as `cancel`."""
    return _run(connection, _CANCEL_BELOW, task_ids, error) if task_ids else []


def _run(connection: Connection, sql: LiteralString, task_ids: Sequence[UUID], error: ErrorInfo) -> list[Row]:
    events = [("finished", json.dumps({"status": "cancelled", "reason": error.message}))]
    values = {"ids": list(task_ids), "error": json.dumps(error.model_dump(mode="json"))}
    return connection.execute(sql, {**values, **event_list(events)}).fetchall()
