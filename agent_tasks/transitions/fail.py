"""running → failed, timeout or partial: the task ends with a typed error."""

import json

from agent_tasks.database import Connection
from agent_tasks.errors import ErrorInfo, ErrorType, LeaseLost
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.rows import ENDED, HELD, RUNNING_SECONDS, SNAPSHOT, Row

_FAIL = f"""
    WITH changed AS (
        UPDATE tasks SET
            status = CASE WHEN %(early)s AND partial IS NOT NULL THEN 'partial' ELSE %(status)s END,
            result = CASE WHEN %(early)s THEN partial END,
            error = %(error)s::jsonb, traceback = %(traceback)s,
            spent_seconds = spent_seconds + {RUNNING_SECONDS},
            version = version + 1, event_seq = event_seq + 1, {ENDED}
        WHERE {HELD}
        RETURNING *
    ), events_added AS (
        INSERT INTO events (task_id, seq, type, data)
        SELECT id, event_seq, 'finished', jsonb_build_object('status', status, 'error', error -> 'type') FROM changed
    )
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


def fail(connection: Connection, claim: Claim, error: ErrorInfo, *, traceback: str | None = None) -> Row:
    """End the task with `error`; one that ran out of budget ends as partial where it recorded something.

    Raises LeaseLost.
    """
    early = error.type is ErrorType.BUDGET_EXHAUSTED
    out_of_time = early and error.details.get("resource") == "seconds"
    row = connection.execute(
        _FAIL,
        {
            **claim.fence,
            "early": early,
            "status": "timeout" if out_of_time else "failed",
            "error": json.dumps(error.model_dump(mode="json")),
            "traceback": traceback,
        },
    ).fetchone()
    if row is None:
        raise LeaseLost(f"run {claim.run} of task {claim.id} does not own its step any more")
    return row
