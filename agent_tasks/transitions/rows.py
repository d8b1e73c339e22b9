"""The columns that transitions return, and the pieces of SQL that they share."""

from collections.abc import Sequence
from typing import Any, LiteralString

Row = dict[str, Any]
EventEntry = tuple[str, str | None]
"""The type of an event, and its data as JSON text."""

SNAPSHOT: LiteralString = """
    tasks.id, tasks.agent, tasks.status, tasks.step, tasks.step_number, tasks.attempt, tasks.progress,
    tasks.waiting_for, tasks.result, tasks.partial, tasks.error, tasks.version, tasks.parent_id, tasks.root_id,
    tasks.resumed_from, tasks.identity, tasks.session_id, tasks.metadata, tasks.queue, tasks.worker,
    tasks.created_at, tasks.started_at, tasks.claimed_at, tasks.finished_at, tasks.acknowledged_at,
    tasks.budget_seconds, tasks.budget_tokens, tasks.budget_usd::float8 AS budget_usd, tasks.budget_steps,
    tasks.budget_calls, tasks.spent_seconds, tasks.spent_tokens, tasks.spent_usd::float8 AS spent_usd,
    tasks.spent_steps, tasks.spent_calls,
    tasks.priority, tasks.sensitive, tasks.event_seq
"""
"""Every transition returns these."""

NOW: LiteralString = "clock_timestamp()"

IDLE: LiteralString = """
    status = 'pending', worker = NULL, waiting_for = NULL, rings = 0, pending_since = clock_timestamp(),
    due_at = clock_timestamp() + make_interval(secs => %(ring_seconds)s)
"""
"""What becomes pending: it belongs to nobody, and is rung again if nobody claims it."""

ENDED: LiteralString = """
    worker = NULL, waiting_for = NULL, due_at = NULL, finished_at = clock_timestamp()
"""
"""What has ended: it belongs to nobody, and nothing is due."""

RUNNING_SECONDS: LiteralString = "extract(epoch FROM clock_timestamp() - tasks.claimed_at)"

HELD: LiteralString = """
    tasks.id = %(id)s AND tasks.run = %(run)s AND tasks.step_number = %(step_number)s AND tasks.status = 'running'
"""
"""The fence: this run still owns the step. (The number, because a commit whose reply was lost may be repeated.)"""


def event_list(events: Sequence[EventEntry]) -> dict[str, list[Any]]:
    """The parameters of `EVENTS`: types, and data as JSON text."""
    return {"event_types": [type_ for type_, _ in events], "event_data": [data for _, data in events]}


EVENTS: LiteralString = """
    events_added AS (
        INSERT INTO events (task_id, seq, type, data)
        SELECT changed.id, changed.event_seq - cardinality(%(event_types)s::text[]) + e.ordinal, e.type, e.data
        FROM changed,
            unnest(%(event_types)s::text[], %(event_data)s::jsonb[]) WITH ORDINALITY AS e (type, data, ordinal)
    )
"""
"""Appends to the histories of the rows in `changed`, whose event_seq has grown by the number of events."""

COUNTED: LiteralString = """
    version = version + 1, event_seq = event_seq + cardinality(%(event_types)s::text[])
"""
"""What every update with `EVENTS` sets."""
