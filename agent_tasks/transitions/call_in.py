"""waiting → pending: a parent's reserve is reached; its children end with what they have, and it goes on."""

import json
from collections.abc import Sequence
from typing import TypedDict
from uuid import UUID

from agent_tasks.errors import ErrorInfo, ErrorType, SuggestedAction
from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.pausing import MOVES, PAUSED
from agent_tasks.store.rows import (
    CALLED_IN,
    CLOCKED_SECONDS,
    COUNTED_ENDING,
    ENDING_EVENT,
    GIVEN_IDS,
    IDLE,
    SNAPSHOT,
    WILL_END,
    Row,
    ending,
)
from agent_tasks.transitions.cancel import end_tree
from agent_tasks.transitions.ending import end

_DUE = f"""
    SELECT id, waiting_for ? 'waits' AS is_parked FROM agent_tasks.tasks
    WHERE status = 'waiting' AND finished_at IS NULL AND due_at <= statement_timestamp()
        AND waiting_for ->> 'kind' = 'children' AND (NOT waiting_for ? 'waits' OR {CALLED_IN})
        AND NOT {PAUSED} AND NOT coalesce({MOVES}, false)
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""


class _DueRow(TypedDict):
    id: UUID
    is_parked: bool


# Of a parked step, which may wait for several fan-outs: the children of those whose time it is.
_CHILDREN = f"""
    SELECT child.id FROM agent_tasks.tasks, LATERAL (
        SELECT ordinal FROM agent_tasks.calls
        WHERE calls.task_id = tasks.id AND calls.step_number = tasks.step_number AND calls.status = 'started'
            AND calls.children_left > 0 AND (calls.wait ->> 'until')::timestamptz <= statement_timestamp() OFFSET 0
    ) AS call, LATERAL (
        SELECT id FROM agent_tasks.tasks AS child WHERE child.parent_id = tasks.id
            AND child.parent_step = tasks.step_number AND child.parent_call = call.ordinal OFFSET 0
    ) AS child
    WHERE {GIVEN_IDS}
"""

_END_BELOW = f"""
    WITH changed AS (
        UPDATE agent_tasks.tasks SET spent_seconds = spent_seconds + {CLOCKED_SECONDS}, {COUNTED_ENDING},
            {
    ending(
        "CASE WHEN partial IS NULL THEN 'timeout' ELSE 'partial' END",
        "%(error)s::jsonb || jsonb_build_object('checkpoint', nullif(step_number, 0))",
        "partial",
    )
}
        WHERE {GIVEN_IDS} AND {WILL_END}
        RETURNING *
    ), {ENDING_EVENT}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""

_GO_ON = f"""
    WITH changed AS (
        UPDATE agent_tasks.tasks SET spent_seconds = spent_seconds + {CLOCKED_SECONDS}, {COUNTED}, {IDLE}
        WHERE {GIVEN_IDS} AND status = 'waiting'
        RETURNING *
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""

_ERROR = ErrorInfo(
    type=ErrorType.BUDGET_EXHAUSTED,
    message="The parent has reached the reserve of its time: its children end with what they have recorded.",
    details={"resource": "seconds"},
    suggested_action=SuggestedAction.RESUME,
)


def call_in(connection: Connection, *, limit: int, ring_seconds: float) -> list[Row]:
    """Call in the children of parents whose reserve is reached; within a transaction.

    Returns all changed rows; `was` in those of the children is the status they had.
    """
    due: list[_DueRow] = connection.execute(_DUE, {"limit": limit}).fetchall()
    if not due:
        return []
    ids = [row["id"] for row in due]
    below, parents = end(connection, lambda c: _end_below(c, due), ring_seconds=ring_seconds)
    # a child that is undoing what it did has not ended yet; its parent goes on without it
    rest: list[Row] = connection.execute(
        _GO_ON, {"ids": ids, "ring_seconds": ring_seconds, **event_list([("dispatched", '{"called_in": true}')])}
    ).fetchall()
    return [*below, *parents, *rest]


def _end_below(connection: Connection, parents: Sequence[_DueRow]) -> list[Row]:
    parked = [row["id"] for row in parents if row["is_parked"]]
    rows: list[Row] = []
    if below := [row["id"] for row in parents if not row["is_parked"]]:
        rows += _end(connection, below, itself=False)
    if parked and (children := [row["id"] for row in connection.execute(_CHILDREN, {"ids": parked})]):
        rows += _end(connection, children, itself=True)
    return rows


def _end(connection: Connection, task_ids: Sequence[UUID], *, itself: bool) -> list[Row]:
    return end_tree(
        connection,
        task_ids,
        _END_BELOW,
        itself=itself,
        error=json.dumps(_ERROR.model_dump(mode="json")),
        event_data='{"error": "budget_exhausted", "resource": "seconds"}',
    )
