"""running → pending, or on with the next step in place: a step is committed."""

from typing import LiteralString

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
    Row,
    event_list,
)

_IN_PLACE = "attempt = 1, claimed_at = clock_timestamp()"


def _checkpoint(then: LiteralString) -> LiteralString:
    return f"""
    WITH changed AS (
        UPDATE tasks SET
            step = %(next_step)s, step_number = step_number + 1, failures = 0, crashes = 0,
            spent_seconds = spent_seconds + {RUNNING_SECONDS}, spent_steps = spent_steps + 1,
            progress = coalesce(%(progress)s::jsonb, progress), {COUNTED}, {then}
        WHERE {HELD} AND {IN_TIME}
        RETURNING *
    ), checkpoint_added AS (
        INSERT INTO checkpoints (task_id, step_number, step, next_step, state, run, seconds)
        SELECT id, step_number - 1, %(step)s, step, %(state)s::jsonb, run, %(seconds)s FROM changed
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
    """


_HAND_OVER = _checkpoint(f"attempt = 0, {IDLE}")
_GO_ON = _checkpoint(_IN_PLACE)


def checkpoint(
    connection: Connection,
    claim: Claim,
    next_step: str,
    state: str,
    *,
    in_place: bool,
    seconds: float,
    progress: str | None,
    ring_seconds: float,
) -> Row:
    """Commit the step, its outcome being `next_step` with `state` (JSON text).

    `in_place`: this worker goes on with the next step under the same run and lease. `seconds` is how long the
    step took by the worker's own monotonic clock, for the history only. Raises LeaseLost, or BudgetExhausted
    when the step overran its seconds.
    """
    number = claim.step_number
    events = [
        ("committed", f'{{"step": "{claim.step}", "step_number": {number}, "next": "{next_step}"}}'),
        (
            (
                "claimed",
                f'{{"step": "{next_step}", "step_number": {number + 1}, "attempt": 1, "run": {claim.run}}}',
            )
            if in_place
            else ("dispatched", f'{{"step": "{next_step}", "step_number": {number + 1}}}')
        ),
    ]
    row = connection.execute(
        _GO_ON if in_place else _HAND_OVER,
        {
            **claim.fence,
            "step": claim.step,
            "next_step": next_step,
            "state": state,
            "seconds": seconds,
            "progress": progress,
            "ring_seconds": ring_seconds,
            **event_list(events),
        },
    ).fetchone()
    return row or refuse(connection, claim)
