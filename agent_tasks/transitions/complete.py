"""running → completed, or partial by the agent's own choice: the result is there."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent_tasks.errors import BudgetExhausted, ErrorInfo, LeaseLost
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Contention
from agent_tasks.store.history import appended, event_text
from agent_tasks.store.rows import ENDED, RUNNING_SECONDS, SNAPSHOT, Row, few
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fence import GIVEN_OWNED, IN_TIME, PASSING_LOCKED, given, refusal

_COMPLETE = f"""
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(%(given)s::jsonb) AS given (
            id uuid, run integer, step_number integer, status text, error jsonb, result jsonb, seconds real,
            progress jsonb, new_events jsonb)
        WHERE {few("step_number")}
    ), owned AS (
        SELECT tasks.id FROM given JOIN agent_tasks.tasks ON {GIVEN_OWNED} WHERE {IN_TIME}
        {PASSING_LOCKED}
    ), changed AS (
        UPDATE agent_tasks.tasks SET
            status = given.status, error = given.error, result = coalesce(given.result, 'null'::jsonb),
            step_number = tasks.step_number + 1, spent_seconds = spent_seconds + {RUNNING_SECONDS},
            spent_steps = spent_steps + 1, progress = coalesce(given.progress, tasks.progress),
            version = version + 1, event_seq = event_seq + jsonb_array_length(given.new_events), {ENDED}
        FROM owned JOIN given USING (id) WHERE tasks.id = owned.id
        RETURNING tasks.*, given.seconds, given.new_events
    ), checkpoint_added AS (
        INSERT INTO agent_tasks.checkpoints (task_id, step_number, step, run, seconds)
        SELECT id, step_number - 1, step, run, seconds FROM changed
    ), {appended("changed.new_events")}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


@dataclass(frozen=True, slots=True)
class Finish:
    """A last step to be committed: the task ends with `result` (JSON text) as completed, with `shortfall` as partial.

    `seconds` is what the step took by the worker's clock, for the history only.
    """

    claim: Claim
    result: str
    seconds: float
    progress: str | None = None
    shortfall: ErrorInfo | None = None


def complete_all(
    connection: Connection, finishes: Sequence[Finish]
) -> list[Row | LeaseLost | BudgetExhausted | Contention]:
    """End these tasks, each as if alone.

    Returns the row of each, or LeaseLost, or BudgetExhausted where its step overran its seconds, or Contention where
    somebody else has locked the row.
    """
    changed: list[Row] = connection.execute(_COMPLETE, {"given": f"[{', '.join(map(_given, finishes))}]"}).fetchall()
    rows = {row["id"]: row for row in changed}
    return [rows.get(finish.claim.id) or refusal(connection, finish.claim) for finish in finishes]


def _given(finish: Finish) -> str:
    claim = finish.claim
    status = "completed" if finish.shortfall is None else "partial"
    new_events = [
        ("committed", f'{{"step": "{claim.step}", "step_number": {claim.step_number}}}'),
        ("finished", f'{{"status": "{status}"}}'),
    ]
    return given(
        claim,
        raw={
            "error": finish.shortfall.model_dump_json() if finish.shortfall else None,
            "result": finish.result,
            "progress": finish.progress,
            "new_events": event_text(new_events),
        },
        status=status,
        seconds=finish.seconds,
    )
