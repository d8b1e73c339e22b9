"""running → pending, or on with the next step in place: a step is committed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString
from uuid import UUID

from agent_tasks.errors import BudgetExhausted, LeaseLost
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Contention
from agent_tasks.store.history import COUNTED, EVENTS, EventEntry, appended, event_list, event_text
from agent_tasks.store.pausing import PAUSED
from agent_tasks.store.rows import CLEARED, OWNED, RUNNING_SECONDS, SNAPSHOT, STEPPED, Row, few
from agent_tasks.task.row import SteppedRow
from agent_tasks.transitions.claim import Claim, ClaimRow
from agent_tasks.transitions.fence import GIVEN_OWNED, IN_TIME, PASSING_LOCKED, given, refusal


@dataclass(frozen=True, slots=True)
class Committed:
    """What a step leaves behind: where the task goes on, with which state (JSON text), and how long it took.

    `seconds` is by the worker's own monotonic clock, for the history only. `undoable`: the step has an undo.
    `arguments` are what the next step makes of the state.
    """

    next_step: str
    state: str
    seconds: float
    progress: str | None = None
    undoable: bool = False
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class StepCommit:
    """A step to be committed; `in_place`: its worker goes on with the next one under the same run and lease, unless the
    task is paused."""

    claim: Claim
    committed: Committed
    in_place: bool


# Where the task was paused meanwhile, the worker does not go on with the next step.
_HANDED_OVER: LiteralString = """jsonb_set(given.new_events, '{1}', jsonb_build_array(
                'dispatched', jsonb_build_object('step', tasks.step, 'step_number', tasks.step_number)))"""

_CHECKPOINT = f"""
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(%(given)s::jsonb) AS given (
            id uuid, run integer, step_number integer, in_place boolean, done text, next_step text, state jsonb,
            seconds real, progress jsonb, undo boolean, new_events jsonb)
        WHERE {few("step_number")}
    ), owned AS (
        SELECT tasks.id, given.in_place AND NOT {PAUSED} AS in_place
        FROM given JOIN agent_tasks.tasks ON {GIVEN_OWNED} WHERE {IN_TIME}
        {PASSING_LOCKED}
    ), changed AS (
        UPDATE agent_tasks.tasks SET
            step = given.next_step, step_number = tasks.step_number + 1, {CLEARED}, rings = 0,
            spent_seconds = spent_seconds + {RUNNING_SECONDS}, spent_steps = spent_steps + 1,
            progress = coalesce(given.progress, tasks.progress), undoable = undoable + given.undo::int,
            version = version + 1, event_seq = event_seq + jsonb_array_length(given.new_events),
            attempt = owned.in_place::int, uncounted = 0,
            status = CASE WHEN owned.in_place THEN 'running' ELSE 'pending' END,
            worker = CASE WHEN owned.in_place THEN worker END,
            claimed_at = CASE WHEN owned.in_place THEN clock_timestamp() ELSE claimed_at END,
            pending_since = CASE WHEN owned.in_place THEN pending_since ELSE clock_timestamp() END,
            due_at = CASE WHEN owned.in_place THEN due_at
                ELSE clock_timestamp() + make_interval(secs => %(ring_seconds)s) END
        FROM owned JOIN given ON given.id = owned.id WHERE tasks.id = owned.id
        RETURNING tasks.*, given.done, given.state, given.seconds, given.undo,
            CASE WHEN given.in_place AND NOT owned.in_place THEN {_HANDED_OVER} ELSE given.new_events END AS new_events
    ), checkpoint_added AS (
        INSERT INTO agent_tasks.checkpoints (task_id, step_number, step, next_step, state, run, seconds, undo)
        SELECT id, step_number - 1, done, step, state, run, seconds, undo FROM changed
    ), {appended("changed.new_events")}
    SELECT tasks.id, {STEPPED} FROM changed AS tasks
"""


class _CheckpointRow(SteppedRow):
    id: UUID


def checkpoint_all(
    connection: Connection, steps: Sequence[StepCommit], *, ring_seconds: float
) -> list[ClaimRow | LeaseLost | BudgetExhausted | Contention]:
    """Commit these steps, each of another task, and each as if alone.

    Returns the claim's row as it is now of each, or LeaseLost, or BudgetExhausted where it overran its seconds, or
    Contention where somebody else has locked the row.
    """
    changed: list[_CheckpointRow] = connection.execute(
        _CHECKPOINT, {"given": f"[{', '.join(map(_given, steps))}]", "ring_seconds": ring_seconds}
    ).fetchall()
    rows = {row["id"]: row for row in changed}
    return [
        {**step.claim.row, **rows[step.claim.id], "waited": None, "queued_seconds": 0.0}
        if step.claim.id in rows
        else refusal(connection, step.claim)
        for step in steps
    ]


def _given(step: StepCommit) -> str:
    claim, committed = step.claim, step.committed
    following: dict[str, Any] = {"step": committed.next_step, "step_number": claim.step_number + 1}
    if step.in_place:
        following |= {"attempt": 1, "run": claim.run}
    new_events = [
        _committed_event(claim, committed),
        ("claimed" if step.in_place else "dispatched", json.dumps(following)),
    ]
    return given(
        claim,
        raw={"state": committed.state, "progress": committed.progress, "new_events": event_text(new_events)},
        in_place=step.in_place,
        done=claim.step,
        next_step=committed.next_step,
        seconds=committed.seconds,
        undo=committed.undoable,
    )


def _committed_event(claim: Claim, committed: Committed) -> EventEntry:
    data = {"step": claim.step, "step_number": claim.step_number, "next": committed.next_step}
    return "committed", json.dumps(data)


def committing(then: LiteralString, awaits: LiteralString) -> LiteralString:
    """The statement that commits a step after which the task waits; `then` sets for what."""
    return f"""
    WITH changed AS (
        UPDATE agent_tasks.tasks SET
            step = %(next_step)s, step_number = step_number + 1, uncounted = 0, {CLEARED},
            spent_seconds = spent_seconds + {RUNNING_SECONDS}, spent_steps = spent_steps + 1,
            progress = coalesce(%(progress)s::jsonb, progress), undoable = undoable + %(undoable)s::int,
            {COUNTED}, {then}
        WHERE {OWNED} AND {IN_TIME}
        RETURNING *
    ), checkpoint_added AS (
        INSERT INTO agent_tasks.checkpoints (task_id, step_number, step, next_step, state, run, seconds, undo, awaits)
        SELECT id, step_number - 1, %(step)s, step, %(state)s::jsonb, run, %(seconds)s, %(undoable)s, {awaits}
        FROM changed
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
    """


def run_commit(
    connection: Connection,
    statement: LiteralString,
    claim: Claim,
    committed: Committed,
    *follows: EventEntry,
    **values: Any,
) -> Row:
    """Execute a statement made by `committing`. Raises LeaseLost, BudgetExhausted."""
    row: Row | None = connection.execute(
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
            **event_list([_committed_event(claim, committed), *follows]),
        },
    ).fetchone()
    if row is None:
        raise refusal(connection, claim)
    return row
