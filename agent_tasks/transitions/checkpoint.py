"""running → pending, or on with the next step in place: a step is committed."""

import json
from dataclasses import dataclass
from typing import Any, LiteralString

from agent_tasks.database import Connection
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fence import IN_TIME, refuse
from agent_tasks.transitions.rows import (
    COUNTED,
    EVENTS,
    HELD,
    IDLE,
    RUNNING_SECONDS,
    SNAPSHOT,
    STEPPED,
    EventEntry,
    Row,
    event_list,
)


@dataclass(frozen=True, slots=True)
class Committed:
    """What a step leaves behind: where the task goes on, with which state (JSON text), and how long it took.

    `seconds` is by the worker's own monotonic clock, for the history only. `undoable`: the step has an undo.
    """

    next_step: str
    state: str
    seconds: float
    progress: str | None = None
    undoable: bool = False


def committing(
    then: LiteralString, awaits: LiteralString = "NULL", returning: LiteralString = SNAPSHOT
) -> LiteralString:
    """The statement that commits a step; `then` sets where the task stands after it."""
    return f"""
    WITH changed AS (
        UPDATE tasks SET
            step = %(next_step)s, step_number = step_number + 1, failures = 0, crashes = 0,
            spent_seconds = spent_seconds + {RUNNING_SECONDS}, spent_steps = spent_steps + 1,
            progress = coalesce(%(progress)s::jsonb, progress), undoable = undoable + %(undoable)s::int,
            {COUNTED}, {then}
        WHERE {HELD} AND {IN_TIME}
        RETURNING *
    ), checkpoint_added AS (
        INSERT INTO checkpoints (task_id, step_number, step, next_step, state, run, seconds, undo, awaits)
        SELECT id, step_number - 1, %(step)s, step, %(state)s::jsonb, run, %(seconds)s, %(undoable)s, {awaits}
        FROM changed
    ), {EVENTS}
    SELECT {returning} FROM changed AS tasks
    """


_HAND_OVER = committing(f"attempt = 0, {IDLE}", returning=STEPPED)
_GO_ON = committing("attempt = 1, claimed_at = clock_timestamp()", returning=STEPPED)


def checkpoint(
    connection: Connection, claim: Claim, committed: Committed, *, in_place: bool, ring_seconds: float
) -> Row:
    """Commit the step; `in_place`: this worker goes on with the next step under the same run and lease.

    Returns the claim's row as it is now. Raises LeaseLost, or BudgetExhausted when the step overran its seconds.
    """
    next_step, number = committed.next_step, claim.step_number + 1
    follows = (
        ("claimed", f'{{"step": "{next_step}", "step_number": {number}, "attempt": 1, "run": {claim.run}}}')
        if in_place
        else ("dispatched", f'{{"step": "{next_step}", "step_number": {number}}}')
    )
    row = run_commit(
        connection, _GO_ON if in_place else _HAND_OVER, claim, committed, follows, ring_seconds=ring_seconds
    )
    return claim.row | row


def run_commit(
    connection: Connection,
    statement: LiteralString,
    claim: Claim,
    committed: Committed,
    *follows: EventEntry,
    **values: Any,
) -> Row:
    """Execute a statement made by `committing`. Raises LeaseLost, BudgetExhausted."""
    data = {"step": claim.step, "step_number": claim.step_number, "next": committed.next_step}
    row = connection.execute(
        statement,
        {
            **claim.fence,
            "step": claim.step,
            "next_step": committed.next_step,
            "state": committed.state,
            "seconds": committed.seconds,
            "progress": committed.progress,
            "undoable": committed.undoable,
            **values,
            **event_list([("committed", json.dumps(data)), *follows]),
        },
    ).fetchone()
    return row or refuse(connection, claim)
