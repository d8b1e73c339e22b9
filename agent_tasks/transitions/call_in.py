"""waiting → pending: a parent's reserve is reached; its children end with what they have, and it goes on."""

import json
from collections.abc import Sequence
from uuid import UUID

from agent_tasks.errors import ErrorInfo, ErrorType, SuggestedAction
from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.rows import (
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

_DUE = """
    SELECT id FROM agent_tasks.tasks
    WHERE status = 'waiting' AND finished_at IS NULL AND due_at <= statement_timestamp()
        AND waiting_for ->> 'kind' = 'children'
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
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
    ids: list[UUID] = [row["id"] for row in connection.execute(_DUE, {"limit": limit})]
    if not ids:
        return []
    below, parents = end(connection, lambda c: _end_below(c, ids), ring_seconds=ring_seconds)
    # a child that is undoing what it did has not ended yet; its parent goes on without it
    rest: list[Row] = connection.execute(
        _GO_ON, {"ids": ids, "ring_seconds": ring_seconds, **event_list([("dispatched", '{"called_in": true}')])}
    ).fetchall()
    return [*below, *parents, *rest]


def _end_below(connection: Connection, parents: Sequence[UUID]) -> list[Row]:
    return end_tree(
        connection,
        parents,
        _END_BELOW,
        itself=False,
        error=json.dumps(_ERROR.model_dump(mode="json")),
        event_data='{"error": "budget_exhausted", "resource": "seconds"}',
    )
