"""running → running: a call's intent is written before it is made, its outcome after."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent_tasks.database import Connection
from agent_tasks.errors import LeaseLost
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fence import GIVEN_HELD, given, lost
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


@dataclass(frozen=True, slots=True)
class CallBegin:
    """A call that is to be made."""

    claim: Claim
    ordinal: int
    name: str
    key: str
    at_most_once: bool


@dataclass(frozen=True, slots=True)
class CallEnd:
    """A call that was made; `status` is completed or failed, `outcome` JSON text."""

    claim: Claim
    ordinal: int
    status: str
    outcome: str


_BEGIN = f"""
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(%(given)s::jsonb) AS given (
            id uuid, run integer, step_number integer, ledger_step integer, ordinal integer, name text, key text,
            at_most_once boolean)
    ), held AS (
        SELECT tasks.id FROM given JOIN tasks ON {GIVEN_HELD}
        WHERE budget_calls IS NULL OR spent_calls + reserved_calls < budget_calls OR ending IS NOT NULL
        ORDER BY tasks.id FOR NO KEY UPDATE OF tasks
    ), changed AS (
        UPDATE tasks SET spent_calls = spent_calls + 1, version = version + 1
        FROM held WHERE tasks.id = held.id
        RETURNING tasks.id, tasks.spent_calls
    ), added AS (
        INSERT INTO calls AS old (task_id, step_number, ordinal, name, status, at_most_once, idempotency_key, run)
        SELECT id, ledger_step, ordinal, name, 'started', at_most_once, key, run FROM given JOIN changed USING (id)
        ON CONFLICT (task_id, step_number, ordinal) DO UPDATE SET
            status = 'started', run = excluded.run, attempts = old.attempts + 1, outcome = NULL,
            started_at = clock_timestamp(), finished_at = NULL
    )
    SELECT id, spent_calls FROM changed
"""

_END = f"""
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(%(given)s::jsonb) AS given (
            id uuid, run integer, step_number integer, ledger_step integer, ordinal integer, status text,
            outcome jsonb)
    )
    UPDATE calls SET status = given.status, outcome = coalesce(given.outcome, 'null'::jsonb),
        finished_at = clock_timestamp()
    FROM given JOIN tasks ON {GIVEN_HELD}
    WHERE calls.task_id = given.id AND calls.step_number = given.ledger_step AND calls.ordinal = given.ordinal
        AND calls.run = given.run
    RETURNING calls.task_id, calls.ordinal
"""

_HELD = f"SELECT spent_calls FROM tasks WHERE {HELD}"


def recorded_calls(connection: Connection, claim: Claim) -> dict[int, RecordedCall]:
    """What earlier runs of this step have recorded, by ordinal."""
    rows = connection.execute(_RECORDED, {"id": claim.id, "ledger_step": claim.ledger_step}).fetchall()
    return {row["ordinal"]: RecordedCall(**row) for row in rows}


def begin_calls(connection: Connection, calls: Sequence[CallBegin]) -> list[int | LeaseLost | None]:
    """Record the intent of these calls, each of another task, and count them.

    Returns the calls spent of each, None where none were left, or LeaseLost.
    """
    told = connection.execute(_BEGIN, {"given": f"[{', '.join(map(_given_begin, calls))}]"}).fetchall()
    spent = {row["id"]: row["spent_calls"] for row in told}
    return [spent[c.claim.id] if c.claim.id in spent else _not_begun(connection, c.claim) for c in calls]


def _not_begun(connection: Connection, claim: Claim) -> LeaseLost | None:
    return None if connection.execute(_HELD, claim.fence).fetchone() else lost(claim)


def end_calls(connection: Connection, calls: Sequence[CallEnd]) -> list[LeaseLost | None]:
    """Record the outcomes of these calls; returns LeaseLost for those whose run owns the step no more."""
    told = connection.execute(_END, {"given": f"[{', '.join(map(_given_end, calls))}]"}).fetchall()
    ended = {(row["task_id"], row["ordinal"]) for row in told}
    return [None if (call.claim.id, call.ordinal) in ended else lost(call.claim) for call in calls]


def begin_call(
    connection: Connection, claim: Claim, ordinal: int, name: str, *, key: str, at_most_once: bool
) -> int | None:
    """`begin_calls` for one. Raises LeaseLost."""
    (spent,) = begin_calls(connection, [CallBegin(claim, ordinal, name, key, at_most_once)])
    if isinstance(spent, Exception):
        raise spent
    return spent


def end_call(connection: Connection, claim: Claim, ordinal: int, *, status: str, outcome: str) -> None:
    """`end_calls` for one. Raises LeaseLost."""
    (error,) = end_calls(connection, [CallEnd(claim, ordinal, status, outcome)])
    if error is not None:
        raise error


def _given_begin(call: CallBegin) -> str:
    return given(
        call.claim,
        raw={},
        ledger_step=call.claim.ledger_step,
        ordinal=call.ordinal,
        name=call.name,
        key=call.key,
        at_most_once=call.at_most_once,
    )


def _given_end(call: CallEnd) -> str:
    return given(
        call.claim,
        raw={"outcome": call.outcome},
        ledger_step=call.claim.ledger_step,
        ordinal=call.ordinal,
        status=call.status,
    )
