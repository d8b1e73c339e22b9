"""running → failed, timeout or partial, or first to pending for its undo: the task ends with a typed error."""

import json
from collections.abc import Iterable

from agent_tasks.errors import ErrorInfo, ErrorType
from agent_tasks.store.database import Connection
from agent_tasks.store.rows import COUNTED_ENDING, ENDING_EVENT, OWNED, RUNNING_SECONDS, SNAPSHOT, Row, ending
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fence import lost
from agent_tasks.transitions.ledger import JUDGED, RecordedCall, judged

_ENDING = ending(
    "CASE WHEN %(early)s AND partial IS NOT NULL THEN 'partial' ELSE %(status)s END",
    "%(error)s::jsonb",
    "CASE WHEN %(early)s THEN partial END",
)

_FAIL = f"""
    WITH changed AS (
        UPDATE agent_tasks.tasks SET
            traceback = %(traceback)s, spent_seconds = spent_seconds + {RUNNING_SECONDS},
            {COUNTED_ENDING}, {_ENDING}
        WHERE {OWNED}
        RETURNING *
    ), {JUDGED}, {ENDING_EVENT}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


def fail(
    connection: Connection,
    claim: Claim,
    error: ErrorInfo,
    *,
    traceback: str | None = None,
    calls: Iterable[RecordedCall] = (),
) -> Row:
    """End the task with `error`; one that ran out of budget ends as partial where it recorded something.

    `calls` are those that a resumed task makes again. Raises LeaseLost.
    """
    early = error.type is ErrorType.BUDGET_EXHAUSTED
    out_of_time = early and error.details.get("resource") == "seconds"
    resource = {"resource": error.details["resource"]} if early and "resource" in error.details else {}
    row: Row | None = connection.execute(
        _FAIL,
        {
            **claim.fence,
            "early": early,
            "status": "timeout" if out_of_time else "failed",
            "error": json.dumps(error.model_dump(mode="json")),
            "traceback": traceback,
            **judged(claim, calls),
            "event_data": json.dumps({"error": error.type, **resource}),
        },
    ).fetchone()
    if row is None:
        raise lost(claim)
    return row
