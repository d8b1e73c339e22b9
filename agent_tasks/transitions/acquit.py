"""pending → pending: a step whose lease was over, and whose worker lives after all, is no suspect."""

from collections.abc import Sequence
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.rows import GIVEN_IDS

# Its bell is due at once: nothing that answered an earlier one could claim it.
_ACQUIT = f"""
    WITH suspects AS (
        SELECT tasks.id FROM agent_tasks.tasks
            JOIN unnest(%(ids)b::uuid[], %(runs)s::int[]) AS lost (id, run) USING (id)
        WHERE {GIVEN_IDS} AND tasks.run = lost.run AND tasks.status = 'pending' AND tasks.suspect = 1
        FOR NO KEY UPDATE OF tasks SKIP LOCKED
    )
    UPDATE agent_tasks.tasks SET suspect = 0, version = version + 1, due_at = clock_timestamp()
    WHERE id = ANY (ARRAY(SELECT id FROM suspects))
"""


def acquit(connection: Connection, lost: Sequence[tuple[UUID, int]]) -> int:
    """Clear the suspicion of steps that a living worker has lost, by (task, run), where they ran nowhere since."""
    ids, runs = [task_id for task_id, _ in lost], [run for _, run in lost]
    return connection.execute(_ACQUIT, {"ids": ids, "runs": runs}).rowcount
