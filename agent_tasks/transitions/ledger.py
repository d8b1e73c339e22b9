"""running → running: a call's intent is written before it is made, its outcome after."""

from dataclasses import dataclass
from typing import Any

from agent_tasks.database import Connection
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fence import lost
from agent_tasks.transitions.rows import HELD


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call of this step from an earlier run: completed with an outcome, failed, or started and unknown."""

    ordinal: int
    name: str
    status: str
    at_most_once: bool
    outcome: Any
    inherited: bool
    """Recorded by the task that this one was resumed from."""


_RECORDED = """
    SELECT ordinal, name, status, at_most_once, outcome, run = 0 AS inherited FROM calls
    WHERE task_id = %(id)s AND step_number = %(ledger_step)s
"""

_BEGIN = f"""
    WITH changed AS (
        UPDATE tasks SET spent_calls = spent_calls + 1, version = version + 1
        WHERE {HELD} AND (budget_calls IS NULL OR spent_calls + reserved_calls < budget_calls OR ending IS NOT NULL)
        RETURNING id, spent_calls
    ), added AS (
        INSERT INTO calls AS old (task_id, step_number, ordinal, name, status, at_most_once, idempotency_key, run)
        SELECT id, %(ledger_step)s, %(ordinal)s, %(name)s, 'started', %(at_most_once)s, %(key)s, %(run)s FROM changed
        ON CONFLICT (task_id, step_number, ordinal) DO UPDATE SET
            status = 'started', run = excluded.run, attempts = old.attempts + 1, outcome = NULL,
            started_at = clock_timestamp(), finished_at = NULL
    )
    SELECT spent_calls FROM changed
"""

_END = f"""
    UPDATE calls SET status = %(status)s, outcome = %(outcome)s::jsonb, finished_at = clock_timestamp()
    FROM tasks
    WHERE {HELD} AND calls.task_id = tasks.id AND calls.step_number = %(ledger_step)s
        AND calls.ordinal = %(ordinal)s AND calls.run = %(run)s
"""

_HELD = f"SELECT spent_calls FROM tasks WHERE {HELD}"


def recorded_calls(connection: Connection, claim: Claim) -> dict[int, RecordedCall]:
    """What earlier runs of this step have recorded, by ordinal."""
    rows = connection.execute(_RECORDED, {"id": claim.id, "ledger_step": claim.ledger_step}).fetchall()
    return {row["ordinal"]: RecordedCall(**row) for row in rows}


def begin_call(
    connection: Connection, claim: Claim, ordinal: int, name: str, *, key: str, at_most_once: bool
) -> int | None:
    """Record the intent and count the call: the calls spent, or None where none were left. Raises LeaseLost."""
    values = {
        **claim.fence,
        "ledger_step": claim.ledger_step,
        "ordinal": ordinal,
        "name": name,
        "key": key,
        "at_most_once": at_most_once,
    }
    if row := connection.execute(_BEGIN, values).fetchone():
        return row["spent_calls"]
    if connection.execute(_HELD, values).fetchone():
        return None
    raise lost(claim)


def end_call(connection: Connection, claim: Claim, ordinal: int, *, status: str, outcome: str | None) -> None:
    """Record the outcome (JSON text) of a call: `status` is completed or failed. Raises LeaseLost."""
    changed = connection.execute(
        _END,
        {
            **claim.fence,
            "ledger_step": claim.ledger_step,
            "ordinal": ordinal,
            "status": status,
            "outcome": outcome,
        },
    ).rowcount
    if not changed:
        raise lost(claim)
