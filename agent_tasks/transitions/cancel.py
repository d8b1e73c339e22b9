"""pending, running, waiting → cancelled: a task and all below it."""

import json
from collections.abc import Sequence
from typing import LiteralString, TypedDict
from uuid import UUID

from agent_tasks.errors import ErrorInfo
from agent_tasks.store.database import Connection
from agent_tasks.store.queries.read import tree_ids
from agent_tasks.store.rows import (
    CLOCKED_SECONDS,
    COUNTED_ENDING,
    ENDING_EVENT,
    GIVEN_IDS,
    SNAPSHOT,
    WILL_END,
    Row,
    ending,
)

# A running step is stopped by a notice on Redis or by its next heartbeat; its commit is fenced off from here on.


_ENDING = ending(
    "'cancelled'",
    """%(error)s::jsonb || jsonb_build_object('checkpoint',
        CASE WHEN %(error)s::jsonb #> '{details,purged}' IS NULL THEN nullif(step_number, 0) END)""",
)

_LOCK = f"""
    SELECT id, status FROM agent_tasks.tasks WHERE {GIVEN_IDS} AND {WILL_END} ORDER BY id FOR UPDATE
"""


class _LivingRow(TypedDict):
    id: UUID
    status: str


_CANCEL = f"""
    WITH changed AS (
        UPDATE agent_tasks.tasks SET
            spent_seconds = spent_seconds + {CLOCKED_SECONDS}, {COUNTED_ENDING}, {_ENDING}
        WHERE {GIVEN_IDS} AND {WILL_END}
        RETURNING *
    ), {ENDING_EVENT}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""

# A parent that ends with the first failure of a child tells its own parent in the same commit, and below one that has
# ended it is the next above that is joined.
_PARENT: LiteralString = """
            SELECT id, parent_id, parent_step, parent_call, on_child_failure = 'fail' OR finished_at IS NOT NULL
                OR child.parent_call IS NOT NULL AND EXISTS (
                    SELECT FROM agent_tasks.calls WHERE task_id = child.parent_id AND step_number = child.parent_step
                        AND ordinal = child.parent_call AND wait ->> 'on_child_failure' = 'fail') AS tells
            FROM agent_tasks.tasks WHERE tasks.id = child.parent_id OFFSET 0
"""
_ABOVE: LiteralString = """
    WITH RECURSIVE above AS (
        SELECT parent.* FROM unnest(%(ids)b::uuid[]) AS given (id), LATERAL (
            SELECT parent_id, parent_step, parent_call FROM agent_tasks.tasks WHERE tasks.id = given.id OFFSET 0
        ) AS child, LATERAL ({parent}) AS parent
        UNION
        SELECT next.* FROM above AS child, LATERAL ({parent}) AS next WHERE child.tells
    )
    SELECT FROM agent_tasks.tasks WHERE id = ANY (ARRAY(SELECT id FROM above {bounded}))
        ORDER BY depth, id FOR NO KEY UPDATE
"""
_LOCK_ABOVE = _ABOVE.format(parent=_PARENT, bounded="")
_LOCK_ABOVE_SOON = _ABOVE.format(
    parent=_PARENT,
    bounded=", (SELECT set_config('lock_timeout', %(milliseconds)s, true)) AS bounded",  # before a row is locked
)


def lock_above(connection: Connection, task_ids: Sequence[UUID], *, seconds: float | None = None) -> None:
    """Lock what the end of these tasks may change, their parents and perhaps more, before the tasks themselves.

    Transactions that end a tree lock it from the top down. A child that ended first and then joined its parent would
    wait for them, and they for the child, until Postgres finds the deadlock, a second later.

    `seconds`: from here on no lock of this transaction is waited for longer. Raises psycopg.errors.LockNotAvailable.
    """
    if seconds is None:
        connection.execute(_LOCK_ABOVE, {"ids": list(task_ids)})
    else:
        connection.execute(_LOCK_ABOVE_SOON, {"ids": list(task_ids), "milliseconds": str(round(seconds * 1000))})


def lock_tree(connection: Connection, task_ids: Sequence[UUID], *, itself: bool) -> dict[UUID, str]:
    """Lock all below these tasks whose end is not decided, and with `itself` them, too; returns their status.

    Before the statement that ends them. One that waits for a lock does not see what else the commit wrote for
    which it waited: the children that were spawned, the checkpoint that is to be undone. The next one does; when
    there are no more tasks to lock, no more can come.
    """
    known: set[UUID] = set()
    living: dict[UUID, str] = {}
    above = 0 if itself else len(task_ids)
    while more := set(tree_ids(connection, task_ids)[above:]) - known:
        known |= more
        rows: list[_LivingRow] = connection.execute(_LOCK, {"ids": list(more)}, prepare=False).fetchall()
        living |= {row["id"]: row["status"] for row in rows}
    return living


def cancel(connection: Connection, task_id: UUID, error: ErrorInfo) -> list[Row]:
    """Cancel the subtree, within a transaction; returns the tasks that it ended, none where all had ended before.

    Those above are to be locked before (`ending.end`). `was` in a row is the status it had.
    """
    return _run(connection, [task_id], error, itself=True)


def cancel_trees(connection: Connection, task_ids: Sequence[UUID], error: ErrorInfo) -> list[Row]:
    """Cancel several subtrees; otherwise as `cancel`."""
    return _run(connection, task_ids, error, itself=True)


def cancel_below(connection: Connection, task_ids: Sequence[UUID], error: ErrorInfo) -> list[Row]:
    """Cancel what is below these tasks, and not them; otherwise as `cancel`."""
    return _run(connection, task_ids, error, itself=False)


def _run(connection: Connection, task_ids: Sequence[UUID], error: ErrorInfo, *, itself: bool) -> list[Row]:
    return end_tree(
        connection,
        task_ids,
        _CANCEL,
        itself=itself,
        error=json.dumps(error.model_dump(mode="json")),
        event_data=json.dumps({"reason": error.message}),
    )


def end_tree(
    connection: Connection, task_ids: Sequence[UUID], statement: LiteralString, *, itself: bool, **values: str
) -> list[Row]:
    """Lock these trees and execute the `statement` that ends the tasks `ids`; its rows, with `was`."""
    living = lock_tree(connection, task_ids, itself=itself)
    if not living:
        return []
    rows: list[Row] = connection.execute(statement, {"ids": list(living), **values}, prepare=False).fetchall()
    return [{**row, "was": living[row["id"]]} for row in rows]
