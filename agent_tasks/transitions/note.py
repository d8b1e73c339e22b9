"""running → running: a value that varies from run to run is recorded, so that a repeat of the step has the same."""

from agent_tasks.store.database import Connection
from agent_tasks.store.rows import OWNED
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fence import lost
from agent_tasks.transitions.ledger import RecordedCall

_NOTE = f"""
    WITH owned AS (
        SELECT tasks.id FROM agent_tasks.tasks WHERE {OWNED} FOR NO KEY UPDATE
    )
    INSERT INTO agent_tasks.calls AS old (task_id, step_number, ordinal, name, status, at_most_once, idempotency_key,
        run, branch, digest, place, begun, births, outcome, ended, finished_at)
    SELECT id, %(ledger_step)s, %(ordinal)s, %(name)s, %(status)s, false, %(key)s, %(run)s, %(branch)s, %(digest)s,
        %(place)s, %(begun)s, %(births)s::int[], %(outcome)s::jsonb, %(ended)s, clock_timestamp()
    FROM owned
    ON CONFLICT (task_id, step_number, ordinal) DO UPDATE SET
        status = excluded.status, run = excluded.run, outcome = excluded.outcome, begun = excluded.begun,
        births = excluded.births, ended = excluded.ended, replay = NULL, finished_at = excluded.finished_at
    RETURNING ordinal
"""


def note(
    connection: Connection, claim: Claim, record: RecordedCall, outcome: str, ended: int, *, status: str = "completed"
) -> None:
    """Record a value, JSON text, which is no call of the budget; the step has it at `ended`, by its clock.

    `status`: failed, where the outcome is an error, which the step was given.

    Raises LeaseLost.
    """
    values = {
        **claim.fence,
        "ledger_step": claim.ledger_step,
        "ordinal": record.ordinal,
        "name": record.name,
        "status": status,
        "key": record.idempotency_key,
        "branch": record.branch,
        "digest": record.digest,
        "place": record.place,
        "begun": record.begun,
        "births": list(record.births),
        "outcome": outcome,
        "ended": ended,
    }
    if connection.execute(_NOTE, values).fetchone() is None:
        raise lost(claim)
