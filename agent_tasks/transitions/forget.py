"""terminal → terminal: what a sensitive task has recorded is purged, and that it was there stays."""

from collections.abc import Sequence
from typing import TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.queries.read import tree_ids
from agent_tasks.store.rows import GIVEN_IDS
from agent_tasks.task.event import EventType
from agent_tasks.transitions.threads import delete_threads

_OWN_TYPES = frozenset(EventType) - {EventType.RETRIED, EventType.NOT_UNDONE, EventType.SIGNAL_REFUSED}
"""Events whose data is the system's own; that of the others may quote what the agent has seen."""

# What still undoes its steps needs their state, and keeps it. An error that says itself that all was purged is ours.
# Hashes go, too: whoever has them can try what they are of, where that is one of few.
_FORGET = f"""
    WITH ended AS (
        SELECT id FROM agent_tasks.tasks WHERE {GIVEN_IDS} AND sensitive AND finished_at IS NOT NULL
    ), states AS (
        UPDATE agent_tasks.checkpoints SET state = NULL WHERE task_id = ANY (ARRAY(SELECT id FROM ended))
            AND state IS NOT NULL
    ), calls AS (
        UPDATE agent_tasks.calls SET outcome = NULL, digest = NULL, key = NULL, idempotency_key = ''
        WHERE task_id = ANY (ARRAY(SELECT id FROM ended))
    ), charges AS (
        DELETE FROM agent_tasks.charges WHERE task_id = ANY (ARRAY(SELECT id FROM ended))
    ), signals AS (
        UPDATE agent_tasks.signals SET payload = NULL WHERE task_id = ANY (ARRAY(SELECT id FROM ended))
    ), events AS (
        UPDATE agent_tasks.events SET data = NULL
        WHERE task_id = ANY (ARRAY(SELECT id FROM ended)) AND (type <> ALL (%(own_types)s) OR data ? 'reason')
    ), keys AS (
        UPDATE agent_tasks.idempotency_keys SET digest = '' WHERE task_id = ANY (ARRAY(SELECT id FROM ended))
    )
    UPDATE agent_tasks.tasks
        SET input = NULL, result = NULL, partial = NULL, remaining = NULL, progress = NULL, metadata = NULL,
        traceback = NULL, ending = NULL,
        error = CASE WHEN error IS NULL OR error #> '{{details,purged}}' = 'true' THEN error
            ELSE jsonb_build_object('type', error -> 'type', 'retryable', false, 'retry_after', NULL,
                'message', 'What was recorded of this task was purged.', 'checkpoint', NULL,
                'suggested_action', 'escalate', 'details', jsonb_build_object('purged', true)) END
    WHERE id = ANY (ARRAY(SELECT id FROM ended))
    RETURNING id
"""


class _EndedRow(TypedDict):
    id: UUID


def forget(connection: Connection, task_ids: Sequence[UUID]) -> None:
    """Purge what these tasks have recorded, as far as they are sensitive and have ended; within a transaction."""
    if task_ids:
        values = {"ids": list(task_ids), "own_types": sorted(_OWN_TYPES)}
        ended: list[_EndedRow] = connection.execute(_FORGET, values, prepare=False).fetchall()
        delete_threads(connection, [row["id"] for row in ended])


def forget_below(connection: Connection, task_ids: Sequence[UUID]) -> None:
    """Purge what the tasks below these have recorded; otherwise as `forget`."""
    forget(connection, list(set(tree_ids(connection, task_ids)) - set(task_ids)) if task_ids else [])
