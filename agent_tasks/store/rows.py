"""The columns that transitions return, and the pieces of SQL that they share."""

from typing import LiteralString
from uuid import UUID

from agent_tasks.store.history import written
from agent_tasks.store.pausing import PAUSED, waited_paused
from agent_tasks.task.row import BellRow, TaskRow

Row = TaskRow
"""The row that most transitions return."""

SNAPSHOT: LiteralString = """
    tasks.id, tasks.run, tasks.agent, tasks.status, tasks.step, tasks.step_number, tasks.attempt, tasks.progress,
    tasks.waiting_for, tasks.result, tasks.partial, tasks.error, tasks.version, tasks.parent_id, tasks.root_id,
    tasks.resumed_from, tasks.identity, tasks.session_id, tasks.metadata, tasks.traceparent, tasks.parent_span,
    tasks.queue, tasks.worker,
    tasks.created_at, tasks.started_at, tasks.claimed_at, tasks.finished_at, tasks.acknowledged_at,
    tasks.budget_seconds, tasks.budget_tokens, tasks.budget_usd::float8 AS budget_usd, tasks.budget_steps,
    tasks.budget_calls, tasks.spent_seconds, tasks.spent_tokens, least(tasks.spent_usd, 1e300)::float8 AS spent_usd,
    tasks.spent_steps, tasks.spent_calls,
    tasks.priority, tasks.sensitive, tasks.event_seq, tasks.depth, tasks.children_left,
    tasks.parent_step, tasks.parent_call, tasks.child_index,
    tasks.reserved_tokens, least(tasks.reserved_usd, 1e300)::float8 AS reserved_usd, tasks.reserved_steps,
    tasks.reserved_calls, tasks.held_tokens, least(tasks.held_usd, 1e300)::float8 AS held_usd,
    tasks.undo_step, tasks.ending, tasks.suspect, tasks.refused,
    CASE WHEN tasks.status <> 'completed' THEN tasks.remaining END AS remaining
"""
"""The columns that an observer sees of a task: a `TaskRow`."""

STEPPED: LiteralString = """
    tasks.status, tasks.step, tasks.step_number, tasks.attempt, tasks.version, tasks.finished_at, tasks.queue,
    tasks.priority,
    tasks.spent_seconds, tasks.spent_tokens, least(tasks.spent_usd, 1e300)::float8 AS spent_usd, tasks.spent_steps,
    tasks.spent_calls, tasks.reserved_tokens, least(tasks.reserved_usd, 1e300)::float8 AS reserved_usd,
    tasks.reserved_steps, tasks.reserved_calls, tasks.held_tokens, least(tasks.held_usd, 1e300)::float8 AS held_usd
"""
"""The columns that change while a worker has a task: a `SteppedRow`."""

CLAIMED: LiteralString = f"""
    tasks.id, tasks.run, tasks.agent, tasks.failures, tasks.parent_id, tasks.root_id,
    tasks.depth, tasks.lineage_id, tasks.resumed_from, tasks.undo_step, tasks.identity, tasks.session_id,
    tasks.traceparent, tasks.sensitive, tasks.uncounted,
    tasks.budget_seconds, tasks.budget_tokens, tasks.budget_usd::float8 AS budget_usd, tasks.budget_steps,
    tasks.budget_calls, {STEPPED}
"""
"""The columns that a worker needs to run a step, and to ring for the next one: a `ClaimedRow`."""


class ClaimedRow(BellRow):
    """The columns of `CLAIMED`."""

    failures: int
    lineage_id: UUID
    uncounted: int


IDLE: LiteralString = """
    status = 'pending', worker = NULL, waited = waiting_for, waiting_for = NULL, rings = 0, refused = NULL,
    pending_since = clock_timestamp(), due_at = clock_timestamp() + make_interval(secs => %(ring_seconds)s)
"""
"""The columns of a task that becomes pending: it belongs to nobody, and is rung again if nobody claims it."""

GIVEN_IDS: LiteralString = "tasks.id = ANY (ARRAY(SELECT unnest(%(ids)b::uuid[])))"
"""The condition that a task is among `ids`, by the index however many they are: where the planner can count them, it
reads the whole table for many."""


def few(column: LiteralString) -> LiteralString:
    """A condition that is always true, of a column of whole numbers that is never null.

    By it the planner expects one row where it knows nothing (it takes a JSON array for a hundred), and looks up by the
    index what it joins to it. For many it would read the table whole if that was small when it made the plan, for as
    long as it keeps the plan.
    """
    return f"{column} * 0 = 0"


NOTHING_RESERVED: LiteralString = "reserved_tokens + reserved_usd + reserved_steps + reserved_calls = 0"
LET_GO: LiteralString = """
    reserved_tokens = CASE WHEN {ends} THEN 0 ELSE reserved_tokens END,
    reserved_usd = CASE WHEN {ends} THEN 0 ELSE reserved_usd END,
    reserved_steps = CASE WHEN {ends} THEN 0 ELSE reserved_steps END,
    reserved_calls = CASE WHEN {ends} THEN 0 ELSE reserved_calls END
"""
"""Lets the reservations of an ended root go; `join` does it for others."""

NOTHING_HELD: LiteralString = "held_tokens = 0, held_usd = 0"
"""The columns of a task whose step has ended: its calls have nothing reserved any more."""

CLEARED: LiteralString = f"failures = 0, crashes = 0, suspect = 0, refused = NULL, waited = NULL, {NOTHING_HELD}"
"""Columns of a step that begins: no failure, no crash, no suspicion, no wait, nothing reserved by calls. (`attempt` and
`uncounted` are set beside.)"""

LIVES: LiteralString = """
    workers.stopped_at IS NULL AND workers.seen_at > clock_timestamp() - make_interval(secs => %(lease_seconds)s)
"""
"""The condition that a worker process lives."""

UNCOUNTED: LiteralString = "attempt = attempt - 1, uncounted = uncounted + 1"
"""The columns of a try that counts for nothing, since its end was no fault of the step's."""

ENDED: LiteralString = f"""
    worker = NULL, waiting_for = NULL, due_at = NULL, finished_at = clock_timestamp(), {NOTHING_HELD},
    {LET_GO.format(ends="parent_id IS NULL")}
"""
"""The columns of an ended task: it belongs to nobody, and nothing is due."""

_AWAITED_SINCE: LiteralString = "coalesce(waiting_for ->> 'parked_at', waiting_for ->> 'since')::timestamptz"
CLOCKED_SECONDS: LiteralString = f"""
    CASE WHEN status = 'running' THEN greatest(0, extract(epoch FROM clock_timestamp() - claimed_at))
         WHEN status = 'waiting' AND waiting_for ->> 'kind' = 'children'
            THEN greatest(0, extract(epoch FROM clock_timestamp() - {_AWAITED_SINCE})
                - {waited_paused("waiting_for", _AWAITED_SINCE)}::numeric)
         ELSE 0 END
"""
"""The seconds that the budget's clock has counted since the last change of one of `tasks`, in steps and while children
are awaited. It stands while a task that awaits them is paused.

A step that is parked again waits since before it ran, and that time is counted already."""

CALLED_IN: LiteralString = """
    EXISTS (
        SELECT FROM agent_tasks.calls
        WHERE calls.task_id = tasks.id AND calls.step_number = tasks.step_number AND calls.status = 'started'
            AND calls.children_left > 0 AND (calls.wait ->> 'until')::timestamptz <= statement_timestamp() OFFSET 0
    )
"""
"""The condition that a parked step has reached what it reserved of its time while children are at work."""

RUNNING_SECONDS: LiteralString = "greatest(0, extract(epoch FROM clock_timestamp() - tasks.claimed_at))"

OWNED: LiteralString = """
    tasks.id = %(id)s AND tasks.run = %(run)s AND tasks.step_number = %(step_number)s AND tasks.status = 'running'
"""
"""The fence: this run still owns the step. (The number, because a commit whose reply was lost may be repeated.)"""


def ending(status: LiteralString, error: LiteralString, result: LiteralString = "NULL::jsonb") -> LiteralString:
    """The columns of a task that ends, or, where committed steps have an undo, of one whose last undo is due.

    The expressions speak of the row as it was.
    """
    last_undo: LiteralString = """(
        SELECT {what} FROM agent_tasks.checkpoints WHERE task_id = tasks.id AND undo
            ORDER BY step_number DESC LIMIT 1)"""
    return f"""
        status = CASE WHEN undoable > 0 THEN 'pending' ELSE {status} END,
        error = CASE WHEN undoable > 0 THEN NULL ELSE {error} END,
        result = CASE WHEN undoable > 0 THEN NULL ELSE {result} END,
        ending = CASE WHEN undoable > 0 THEN jsonb_build_object('status', {status}, 'error', {error},
            'result', {result}, 'undone', '[]'::jsonb, 'not_undone', '[]'::jsonb) END,
        undo_step = CASE WHEN undoable > 0 THEN {last_undo.format(what="step_number")} END,
        step = CASE WHEN undoable > 0 THEN {last_undo.format(what="'undo:' || step")} ELSE step END,
        attempt = CASE WHEN undoable > 0 THEN 0 ELSE attempt END,
        uncounted = CASE WHEN undoable > 0 THEN 0 ELSE uncounted END, rings = 0, {CLEARED},
        worker = NULL, waiting_for = NULL, pending_since = clock_timestamp(),
        due_at = CASE WHEN undoable > 0 THEN clock_timestamp() + make_interval(secs => {RING_FALLBACK}) END,
        finished_at = CASE WHEN undoable > 0 THEN NULL ELSE clock_timestamp() END,
        {LET_GO.format(ends="undoable = 0 AND parent_id IS NULL")}
    """


ENDING_EVENT: LiteralString = written("""
        SELECT id, event_seq, CASE WHEN finished_at IS NULL THEN 'undoing' ELSE 'finished' END,
            jsonb_build_object('status', coalesce(ending ->> 'status', status)) || %(event_data)s::jsonb
        FROM changed
""")
"""The part of a WITH that appends the end that `ending` decided; the update counts one event."""

COUNTED_ENDING: LiteralString = "version = version + 1, event_seq = event_seq + 1"

RING_FALLBACK: LiteralString = "10"
"""Seconds until the bell of an undo is rung again, where the caller knows no settings."""

SUSPECT: LiteralString = f"""
    tasks.suspect > 0 AND tasks.status = 'pending' AND tasks.queue = ANY (%(queues)s)
        AND tasks.agent || '.' || tasks.step = ANY (%(steps)s)
        AND (tasks.refused IS NULL OR (tasks.refused ->> 'until')::timestamptz <= clock_timestamp())
        AND NOT {PAUSED}
"""
"""The condition that a suspect step waits, and that a process serves it."""

WILL_END: LiteralString = "tasks.status IN ('pending', 'running', 'waiting') AND tasks.ending IS NULL"
"""The condition that no end is decided yet. (Not by `finished_at`: that would offer the index of all that live.)"""
