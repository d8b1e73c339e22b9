"""pending, running, waiting → cancelled: a task and all below it."""

import json
from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

from agent_tasks.database import Connection
from agent_tasks.errors import ErrorInfo
from agent_tasks.transitions.rows import CLOCKED_SECONDS, COUNTED_ENDING, ENDING_EVENT, SNAPSHOT, WILL_END, Row, ending

# A running step is told by word on Redis and by its next heartbeat; its commit is fenced off from here on.


_ENDING = ending(
    "'cancelled'",
    """%(error)s::jsonb || jsonb_build_object('checkpoint',
        CASE WHEN %(error)s::jsonb #> '{details,purged}' IS NULL THEN nullif(step_number, 0) END)""",
)


def _cancel(root: LiteralString) -> LiteralString:
    return f"""
    WITH RECURSIVE tree AS (
        SELECT id FROM tasks WHERE {root}
        UNION ALL
        SELECT tasks.id FROM tasks JOIN tree ON tasks.parent_id = tree.id
    ), living AS (
        SELECT tasks.id, tasks.status AS was FROM tasks JOIN tree USING (id)
        WHERE {WILL_END} ORDER BY tasks.id FOR UPDATE OF tasks
    ), changed AS (
        UPDATE tasks SET
            spent_seconds = spent_seconds + {CLOCKED_SECONDS}, {COUNTED_ENDING}, {_ENDING}
        FROM living WHERE tasks.id = living.id
        RETURNING tasks.*, living.was
    ), {ENDING_EVENT}
    SELECT {SNAPSHOT}, tasks.was FROM changed AS tasks
    """


_CANCEL = _cancel("id = ANY (%(ids)s)")
_CANCEL_BELOW = _cancel("parent_id = ANY (%(ids)s)")

_LOCK_PARENT = """
    SELECT FROM tasks WHERE id = (SELECT parent_id FROM tasks WHERE id = %s) FOR NO KEY UPDATE
"""


def lock_parent(connection: Connection, task_id: UUID) -> None:
    """Lock the parent of a task that is to end, before the task itself.

    Whoever ends a tree locks it from the top down. A child that ended first and told its parent then would wait
    for them, and they for the child, until Postgres finds the deadlock, a second later.
    """
    connection.execute(_LOCK_PARENT, [task_id])


def cancel(connection: Connection, task_id: UUID, error: ErrorInfo) -> list[Row]:
    """Cancel the subtree, within a transaction; returns the tasks that it ended, none where all had ended before.

    `was` in a row is the status it had.
    """
    lock_parent(connection, task_id)
    rows = _run(connection, _CANCEL, [task_id], error)
    return rows + cancel_below(connection, spawners(rows), error)


def cancel_below(connection: Connection, task_ids: Sequence[UUID], error: ErrorInfo) -> list[Row]:
    """Cancel what is below these tasks, and not them; otherwise as `cancel`."""
    rows: list[Row] = []
    while task_ids:
        ended = _run(connection, _CANCEL_BELOW, task_ids, error)
        rows += ended
        task_ids = spawners(ended)
    return rows


def spawners(ended: Sequence[Row]) -> list[UUID]:
    """Those of the tasks just ended below which another look is due.

    A statement that ends a tree does not see the children that a task in it commits while the statement waits
    for that task's lock. The next statement does, and then no more can come.
    """
    return [row["id"] for row in ended if row["was"] == "waiting"]


def _run(connection: Connection, sql: LiteralString, task_ids: Sequence[UUID], error: ErrorInfo) -> list[Row]:
    values = {
        "ids": list(task_ids),
        "error": json.dumps(error.model_dump(mode="json")),
        "told": json.dumps({"reason": error.message}),
    }
    return connection.execute(sql, values).fetchall()
