"""pending → running: a worker takes a step, with a new run number and a lease."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Contention
from agent_tasks.store.history import written
from agent_tasks.store.pausing import PAUSED
from agent_tasks.store.rows import CLAIMED, SUSPECT, ClaimedRow, few
from agent_tasks.task.budget import Budget, Spend
from agent_tasks.task.identity import Identity
from agent_tasks.task.snapshot import budget_of, held_of, reserved_of, spend_of
from agent_tasks.transitions.put_off import put_off_given


class ClaimRow(ClaimedRow):
    """A row as the statement that claims returns it."""

    state: dict[str, Any] | None
    awaits: dict[str, Any] | None
    waited: dict[str, Any] | None
    """What the task waited for until it became pending."""
    pending_since: datetime
    queued_seconds: float


@dataclass(slots=True)
class Claim:
    """A step that this worker holds under `run`."""

    id: UUID
    run: int
    agent: str
    step: str
    step_number: int
    attempt: int
    failures: int
    lineage_id: UUID
    session_id: str | None
    identity: Identity | None
    budget: Budget
    spent: Spend
    reserved: Spend
    """What is reserved for children that live on although the task does not wait for them any more."""
    held: Spend
    """What calls that were under way when an earlier run was lost have reserved."""
    state: dict[str, Any] | None
    awaits: dict[str, Any] | None
    """What the step waited for before it came to run."""
    undo_step: int | None
    """The committed step that this one undoes."""
    is_first: bool
    """Whether this is the first run of the step in this task."""
    repeated: bool
    """Whether the step may have begun before: its recorded calls are to be read."""
    row: ClaimRow
    arguments: dict[str, Any] | None = None
    """The step's arguments, where this worker has made them of the state before it was committed."""
    traceparent: str | None = None
    """Of the step's span, where it is traced: what it submits and spawns is below it."""

    @property
    def ledger_step(self) -> int:
        """The number under which the ledger keeps this step's calls: an undo's are apart from all steps'."""
        return self.step_number if self.undo_step is None else -1 - self.undo_step

    @property
    def fence(self) -> dict[str, Any]:
        """The parameters of `rows.OWNED`."""
        return {"id": self.id, "run": self.run, "step_number": self.step_number}

    @classmethod
    def from_row(cls, row: ClaimRow) -> "Claim":
        return cls(
            id=row["id"],
            run=row["run"],
            agent=row["agent"],
            step=row["step"],
            step_number=row["step_number"],
            attempt=row["attempt"],
            failures=row["failures"],
            lineage_id=row["lineage_id"],
            session_id=row["session_id"],
            identity=Identity.model_validate(row["identity"]) if row["identity"] else None,
            budget=budget_of(row),
            spent=spend_of(row),
            reserved=reserved_of(row),
            held=held_of(row),
            state=row["state"],
            awaits=row["awaits"],
            undo_step=row["undo_step"],
            is_first=row["attempt"] + row["uncounted"] <= 1,
            repeated=row["attempt"] + row["uncounted"] > 1 or row["resumed_from"] is not None,
            row=row,
        )

    def followed_by(self, row: ClaimRow, arguments: dict[str, Any]) -> "Claim":
        """The claim of the next step, which this run goes on with in place; `row` is that of the commit."""
        return Claim(
            id=self.id,
            run=self.run,
            agent=self.agent,
            step=row["step"],
            step_number=row["step_number"],
            attempt=row["attempt"],
            failures=0,
            lineage_id=self.lineage_id,
            session_id=self.session_id,
            identity=self.identity,
            budget=self.budget,
            spent=spend_of(row),
            reserved=reserved_of(row),
            held=held_of(row),
            state=None,
            awaits=None,
            undo_step=None,
            is_first=True,
            repeated=row["resumed_from"] is not None,
            row=row,
            arguments=arguments,
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """A step that a message names, as it was when the message was sent."""

    task_id: UUID
    step: str
    step_number: int


# A step whose lease is over is not free: the sweep takes it back, and finds out what that says of it.
_FREE: LiteralString = f"""
    WITH wanted AS (
        SELECT * FROM jsonb_to_recordset(%(wanted)s::jsonb) AS wanted (id uuid, step text, step_number integer)
        WHERE {few("step_number")}
    ), free AS (
        SELECT tasks.id FROM wanted JOIN agent_tasks.tasks USING (id, step, step_number)
        WHERE tasks.status = 'pending' AND tasks.suspect = 0 AND NOT {PAUSED}
"""
_FREE_SUSPECT: LiteralString = f"""
    WITH free AS (
        SELECT id FROM agent_tasks.tasks WHERE {SUSPECT} AND suspect = %(suspect)s ORDER BY pending_since, id LIMIT 1
"""

_CLAIM_EVENTS: LiteralString = """
        SELECT id, event_seq, 'claimed', jsonb_build_object('step', step, 'step_number', step_number,
            'attempt', attempt, 'run', run, 'worker', worker) FROM changed
"""

_TAKE: LiteralString = f"""
        FOR NO KEY UPDATE OF tasks SKIP LOCKED
    ), changed AS (
        UPDATE agent_tasks.tasks SET
            status = 'running', run = run + 1, worker = %(worker)s, attempt = attempt + 1,
            started_at = coalesce(started_at, clock_timestamp()), claimed_at = clock_timestamp(),
            due_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s),
            version = version + 1, event_seq = event_seq + 1
        FROM free WHERE tasks.id = free.id
        RETURNING tasks.*
    ), {written(_CLAIM_EVENTS)}
    SELECT {CLAIMED},
        CASE WHEN tasks.undo_step IS NOT NULL
            THEN coalesce(CASE WHEN tasks.undo_step = 0 THEN tasks.input ELSE before.state END, '{{}}'::jsonb)
                || coalesce(passed_on.state, '{{}}'::jsonb)
            WHEN tasks.step_number = 0 THEN tasks.input ELSE before.state END AS state, before.awaits,
        tasks.waited, tasks.pending_since,
        greatest(0, extract(epoch FROM tasks.claimed_at - tasks.pending_since))::float8 AS queued_seconds
    FROM changed AS tasks
        LEFT JOIN agent_tasks.checkpoints AS before ON before.task_id = tasks.id
            AND before.step_number = coalesce(tasks.undo_step, tasks.step_number) - 1
        LEFT JOIN agent_tasks.checkpoints AS passed_on ON passed_on.task_id = tasks.id
            AND passed_on.step_number = tasks.undo_step
"""

_CLAIM = f"{_FREE}{_TAKE}"
_CLAIM_SUSPECT = f"{_FREE_SUSPECT}{_TAKE}"
_LOCKED = f"{_FREE}) SELECT id FROM free"


def claim_all(
    connection: Connection, wanted: Sequence[Wanted], *, worker: str, lease_seconds: float
) -> list[Claim | ValueError | Contention | None]:
    """Take these steps, each of another task; None for one that is not current, is claimed, suspect or paused.

    A row that this release cannot read is its own error: the claims of the others are committed. Contention stands
    for one that may be free, and whose row somebody else has locked.
    """
    terms = {"worker": worker, "lease_seconds": lease_seconds}
    rows: list[ClaimRow] = connection.execute(_CLAIM, {"wanted": _listed(wanted), **terms}).fetchall()
    taken = {row["id"]: row for row in rows}
    missed = [one for one in wanted if one.task_id not in taken]
    if missed:
        put_off_given(connection, [one.task_id for one in missed])
    locked: set[UUID] = {
        row["id"] for row in (connection.execute(_LOCKED, {"wanted": _listed(missed), **terms}) if missed else ())
    }

    def answer(task_id: UUID) -> Claim | ValueError | Contention | None:
        if task_id in taken:
            return _readable(taken[task_id])
        return Contention(f"somebody else has locked the row of task {task_id}") if task_id in locked else None

    return [answer(one.task_id) for one in wanted]


def _listed(wanted: Sequence[Wanted]) -> str:
    return json.dumps([{"id": str(w.task_id), "step": w.step, "step_number": w.step_number} for w in wanted])


def _readable(row: ClaimRow) -> Claim | ValueError:
    try:
        return Claim.from_row(row)
    except ValueError as error:  # of pydantic, or of a budget
        return error


def claim_suspect(
    connection: Connection,
    *,
    suspect: int,
    queues: Sequence[str],
    steps: Sequence[str],
    worker: str,
    lease_seconds: float,
) -> Claim | ValueError | None:
    """Take the suspect step that has waited for longest, of those that this process serves (steps by agent.step).

    `suspect` is 1 for one that was suspected once, 2 for one that was again. None where there is none; a row that
    this release cannot read is its own error.
    """
    row: ClaimRow | None = connection.execute(
        _CLAIM_SUSPECT,
        {
            "suspect": suspect,
            "queues": list(queues),
            "steps": list(steps),
            "worker": worker,
            "lease_seconds": lease_seconds,
        },
    ).fetchone()
    return None if row is None else _readable(row)
