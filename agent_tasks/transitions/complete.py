"""running → completed, or partial by the agent's own choice: the result is there."""

from agent_tasks.database import Connection
from agent_tasks.errors import ErrorInfo
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fence import IN_TIME, refuse
from agent_tasks.transitions.rows import (
    COUNTED,
    ENDED,
    EVENTS,
    HELD,
    RUNNING_SECONDS,
    SNAPSHOT,
    Row,
    event_list,
)

_COMPLETE = f"""
    WITH changed AS (
        UPDATE tasks SET
            status = %(status)s, error = %(error)s::jsonb, result = %(result)s::jsonb, step_number = step_number + 1,
            spent_seconds = spent_seconds + {RUNNING_SECONDS}, spent_steps = spent_steps + 1,
            progress = coalesce(%(progress)s::jsonb, progress), {COUNTED}, {ENDED}
        WHERE {HELD} AND {IN_TIME}
        RETURNING *
    ), checkpoint_added AS (
        INSERT INTO checkpoints (task_id, step_number, step, run, seconds)
        SELECT id, step_number - 1, step, run, %(seconds)s FROM changed
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


def complete(
    connection: Connection,
    claim: Claim,
    result: str,
    *,
    seconds: float,
    progress: str | None,
    shortfall: ErrorInfo | None = None,
) -> Row:
    """Commit the last step and end the task with `result` (JSON text): completed, or with `shortfall` partial.

    Raises LeaseLost, or BudgetExhausted when the step overran its seconds.
    """
    status = "completed" if shortfall is None else "partial"
    events = [
        ("committed", f'{{"step": "{claim.step}", "step_number": {claim.step_number}}}'),
        ("finished", f'{{"status": "{status}"}}'),
    ]
    row = connection.execute(
        _COMPLETE,
        {
            **claim.fence,
            "result": result,
            "status": status,
            "error": shortfall.model_dump_json() if shortfall else None,
            "seconds": seconds,
            "progress": progress,
            **event_list(events),
        },
    ).fetchone()
    return row or refuse(connection, claim)
