"""running → waiting: a failed step waits for its next try, as a row."""

import json
from collections.abc import Iterable

from agent_tasks.errors import ErrorInfo
from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.rows import OWNED, RUNNING_SECONDS, SNAPSHOT, Row
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fence import lost
from agent_tasks.transitions.ledger import JUDGED, RecordedCall, judged

_RETRY = f"""
    WITH changed AS (
        UPDATE agent_tasks.tasks SET
            status = 'waiting', worker = NULL, failures = failures + 1,
            due_at = clock_timestamp() + make_interval(secs => %(delay)s),
            waiting_for = jsonb_build_object('kind', 'retry', 'name', step, 'since', clock_timestamp(),
                'until', clock_timestamp() + make_interval(secs => %(delay)s)),
            spent_seconds = spent_seconds + {RUNNING_SECONDS},
            progress = coalesce(%(progress)s::jsonb, progress), {COUNTED}
        WHERE {OWNED}
        RETURNING *
    ), {JUDGED}, {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


def retry(
    connection: Connection,
    claim: Claim,
    error: ErrorInfo,
    delay: float,
    *,
    progress: str | None,
    calls: Iterable[RecordedCall] = (),
) -> Row:
    """Park the step for `delay` seconds; `calls` are those that the next try makes again. Raises LeaseLost."""
    data = {
        "step": claim.step,
        "failures": claim.failures + 1,
        "delay": round(delay, 3),
        "error": error.type if claim.row["sensitive"] else error.message,
    }
    row: Row | None = connection.execute(
        _RETRY,
        {
            **claim.fence,
            "delay": delay,
            "progress": progress,
            **judged(claim, calls),
            **event_list([("retried", json.dumps(data))]),
        },
    ).fetchone()
    if row is None:
        raise lost(claim)
    return row
