"""running → pending: a worker that stops gives its steps back, so that others go on at once."""

from collections.abc import Sequence
from typing import TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.rows import GIVEN_IDS, IDLE, RUNNING_SECONDS, SNAPSHOT, UNCOUNTED, Row

_RELEASE = f"""
    WITH owned AS (
        SELECT tasks.id FROM agent_tasks.tasks
            JOIN unnest(%(ids)b::uuid[], %(runs)s::int[]) AS given (id, run) USING (id)
        WHERE {GIVEN_IDS} AND tasks.run = given.run AND tasks.status = 'running' FOR UPDATE OF tasks SKIP LOCKED
    ), changed AS (
        UPDATE agent_tasks.tasks SET spent_seconds = spent_seconds + {RUNNING_SECONDS}, {UNCOUNTED}, {COUNTED}, {IDLE}
        WHERE id = ANY (ARRAY(SELECT id FROM owned))
        RETURNING *
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


def release(connection: Connection, claims: Sequence[tuple[UUID, int]], *, ring_seconds: float) -> list[Row]:
    """Give back the steps that these (task, run) still own; a release is no crash, and no try.

    A row that is locked just then is left: it is being committed or ended, or its lease expires.
    """
    return connection.execute(
        _RELEASE,
        {
            "ids": [task_id for task_id, _ in claims],
            "runs": [run for _, run in claims],
            "ring_seconds": ring_seconds,
            **event_list([("released", None), ("dispatched", None)]),
        },
    ).fetchall()


class _ClaimedRow(TypedDict):
    id: UUID
    run: int


def claims_of(connection: Connection, workers: Sequence[str]) -> list[tuple[UUID, int]]:
    """The (task, run) whose leases these worker processes hold."""
    rows: list[_ClaimedRow] = connection.execute(
        "SELECT id, run FROM agent_tasks.tasks WHERE status = 'running' AND finished_at IS NULL AND worker = ANY (%s)",
        [list(workers)],
    ).fetchall()
    return [(row["id"], row["run"]) for row in rows]
