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


def tree_of(root: LiteralString) -> LiteralString:
    """Of the trees whose roots are where `root` says: `tree`, all tasks, and `living`, those not ended, locked."""
    return f"""
    WITH RECURSIVE tree AS (
        SELECT id FROM tasks WHERE {root}
        UNION ALL
        SELECT tasks.id FROM tasks JOIN tree ON tasks.parent_id = tree.id
    ), living AS (
        SELECT tasks.id, tasks.status AS was FROM tasks JOIN tree USING (id)
        WHERE {WILL_END} ORDER BY tasks.id FOR UPDATE OF tasks
    )
    """


ITSELF: LiteralString = "id = ANY (%(ids)s)"
BELOW: LiteralString = "parent_id = ANY (%(ids)s)"


def _cancel(root: LiteralString) -> LiteralString:
    return f"""
    {tree_of(root)}, changed AS (
        UPDATE tasks SET
            spent_seconds = spent_seconds + {CLOCKED_SECONDS}, {COUNTED_ENDING}, {_ENDING}
        FROM living WHERE tasks.id = living.id
        RETURNING tasks.*, living.was
    ), {ENDING_EVENT}
    SELECT {SNAPSHOT}, tasks.was FROM changed AS tasks
    """


# A parent that ends with the first failure of a child tells its own parent in the same commit, and below one that has
# ended it is the next above that is told.
_LOCK_ABOVE = """
    WITH RECURSIVE above AS (
        SELECT parent.id, parent.parent_id, parent.on_child_failure = 'fail' OR parent.finished_at IS NOT NULL AS tells
        FROM tasks AS parent
        WHERE parent.id IN (SELECT parent_id FROM tasks WHERE id = ANY (%s))
        UNION
        SELECT tasks.id, tasks.parent_id, tasks.on_child_failure = 'fail' OR tasks.finished_at IS NOT NULL
        FROM tasks JOIN above ON tasks.id = above.parent_id WHERE above.tells
    )
    SELECT FROM tasks JOIN above USING (id) ORDER BY tasks.depth, tasks.id FOR NO KEY UPDATE OF tasks
"""


def lock_above(connection: Connection, task_ids: Sequence[UUID]) -> None:
    """Lock whom the end of these tasks may change, their parents and perhaps more, before the tasks themselves.

    Whoever ends a tree locks it from the top down. A child that ended first and told its parent then would wait
    for them, and they for the child, until Postgres finds the deadlock, a second later.
    """
    connection.execute(_LOCK_ABOVE, [list(task_ids)])


def lock_tree(connection: Connection, root: LiteralString, ids: Sequence[UUID]) -> None:
    """Lock all living tasks of these trees, before the statement that ends them.

    A statement that waits for a lock does not see what else the commit wrote for which it waited: the children
    that were spawned, the checkpoint that is to be undone. The next one does; when it finds no more tasks to
    lock, no more can come.
    """
    statement = f"{tree_of(root)} SELECT count(*) AS living FROM living"
    locked = 0
    while (row := connection.execute(statement, {"ids": list(ids)}).fetchone()) and row["living"] > locked:
        locked = row["living"]


def cancel(connection: Connection, task_id: UUID, error: ErrorInfo) -> list[Row]:
    """Cancel the subtree, within a transaction; returns the tasks that it ended, none where all had ended before.

    `was` in a row is the status it had.
    """
    lock_above(connection, [task_id])
    return _run(connection, ITSELF, [task_id], error)


def cancel_below(connection: Connection, task_ids: Sequence[UUID], error: ErrorInfo) -> list[Row]:
    """Cancel what is below these tasks, and not them; otherwise as `cancel`."""
    return _run(connection, BELOW, task_ids, error) if task_ids else []


def _run(connection: Connection, root: LiteralString, task_ids: Sequence[UUID], error: ErrorInfo) -> list[Row]:
    lock_tree(connection, root, task_ids)
    values = {
        "ids": list(task_ids),
        "error": json.dumps(error.model_dump(mode="json")),
        "told": json.dumps({"reason": error.message}),
    }
    return connection.execute(_cancel(root), values).fetchall()
