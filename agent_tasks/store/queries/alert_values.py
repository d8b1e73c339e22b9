"""No arrow: what alerts measure, each by one statement that finds its rows by an index and looks at so many at most."""

from typing import Any, LiteralString, TypedDict

from agent_tasks.store.database import Connection
from agent_tasks.store.pausing import PAUSED
from agent_tasks.store.rows import LIVES

COUNTED = 20_000
"""Rows that are looked at, at most: of living tasks those that were submitted first, of what has ended the newest."""
CHARGES = 200_000
"""Charges that are summed up, at most."""

# What has no identity belongs to no tenant, and is a trusted program's alone.
_WATCHED: LiteralString = """
    (%(everywhere)s OR tasks.identity IS NOT NULL AND tasks.tenant = %(tenant)s)
    AND (%(agent)s::text IS NULL OR tasks.agent = %(agent)s) AND (%(queue)s::text IS NULL OR tasks.queue = %(queue)s)
"""
_WITHIN: LiteralString = "statement_timestamp() - make_interval(secs => %(window_seconds)s)"
_AGE: LiteralString = "greatest(0, extract(epoch FROM clock_timestamp() - {since}))::float8"
_PAUSABLE: LiteralString = "id, parent_id, root_id, depth, agent, queue, tenant, identity, put_off_by"
"""Columns by which a task finds the pauses that hold for it."""


def _longest(columns: LiteralString, source: LiteralString, since: LiteralString) -> LiteralString:
    """Return the selection of the one that has been so the longest. What stands still on purpose is passed over.

    The LIMIT within keeps the planner from asking of each of them whether it is paused: only until one is not.
    """
    return f"""
        SELECT {_AGE.format(since="since")} AS value, jsonb_build_object({columns}) AS found
        FROM (
            SELECT tasks.*, {since} AS since FROM {source} AND put_off_by IS NULL ORDER BY since LIMIT %(most)s
        ) AS tasks
        WHERE NOT {PAUSED} ORDER BY since LIMIT 1
    """


_LONGEST: LiteralString = _longest(
    "'task_id', id, 'agent', agent, 'queue', queue",
    f"""(
        SELECT {_PAUSABLE}, waiting_for, {{since}} AS at FROM agent_tasks.tasks
        WHERE status = '{{status}}' ORDER BY id LIMIT %(most)s
    ) AS tasks
    WHERE {_WATCHED} AND (%(waits_for)s::text IS NULL OR waiting_for ->> 'kind' = %(waits_for)s)""",
    "at",
)
_WAITING = _LONGEST.format(status="waiting", since="(waiting_for ->> 'since')::timestamptz")
_PENDING = _LONGEST.format(status="pending", since="pending_since")

# Since a worker that takes the step was last alive: what waits in a long queue is not unserved for as long.
_UNSERVED_FIRST: LiteralString = _longest(
    "'task_id', id, 'agent', agent, 'queue', queue, 'step', step",
    f"""pending AS tasks
            LEFT JOIN servers ON servers.queue = tasks.queue AND servers.step = tasks.agent || '.' || tasks.step
    WHERE {_WATCHED} AND servers.lives IS NOT TRUE""",
    "greatest(pending_since, servers.seen_at)",
)
_UNSERVED = f"""
    WITH servers AS MATERIALIZED (
        SELECT queue, step, max(seen_at) AS seen_at, bool_or({LIVES}) AS lives
        FROM agent_tasks.workers, unnest(queues) AS queue, unnest(steps) AS step GROUP BY queue, step
    ), pending AS MATERIALIZED (
        SELECT {_PAUSABLE}, step, pending_since FROM agent_tasks.tasks
        WHERE status = 'pending' ORDER BY id LIMIT %(most)s
    )
    {_UNSERVED_FIRST}
"""

# Of each state the newest, looked up one by one: the planner would take an index that serves one of them as a whole.
_ENDED: LiteralString = f"""
    unnest(%(states)s::text[]) AS state, LATERAL (
        SELECT id, status, agent, queue, tenant, identity, error, finished_at FROM agent_tasks.tasks
        WHERE status = state AND finished_at >= {_WITHIN} ORDER BY finished_at DESC LIMIT %(most)s) AS tasks
"""
# And of all of them together the newest again, so that none is counted without the others.
_FAILURES = f"""
    SELECT CASE WHEN count(*) >= %(least)s
            THEN (count(*) FILTER (WHERE status IN ('failed', 'timeout')))::float8 / count(*) END AS value,
        jsonb_build_object(
            'failed', count(*) FILTER (WHERE status IN ('failed', 'timeout')), 'ended', count(*)) AS found
    FROM (
        SELECT status, agent, queue, tenant, identity FROM {_ENDED} ORDER BY finished_at DESC LIMIT %(most)s
    ) AS tasks
    WHERE {_WATCHED}
"""

_SPEND = f"""
    SELECT least(coalesce(sum(coalesce((data ->> 'usd')::numeric, 0)), 0), 1e300)::float8 AS value,
        jsonb_build_object('charges', count(*)) AS found
    FROM (
        SELECT task_id, data FROM agent_tasks.events
        WHERE type = 'charged' AND at >= {_WITHIN} ORDER BY at DESC LIMIT %(charges)s
    ) AS charged, LATERAL (
        SELECT agent, queue, tenant, identity FROM agent_tasks.tasks WHERE id = charged.task_id OFFSET 0) AS tasks
    WHERE {_WATCHED}
"""

_ORPHANS = f"""
    SELECT count(*)::float8 AS value, jsonb_build_object('task_id', (array_agg(id ORDER BY finished_at DESC))[1],
        'agent', (array_agg(agent ORDER BY finished_at DESC))[1]) AS found
    FROM {_ENDED}
    WHERE error ->> 'type' = 'context_lost' AND error -> 'details' ? 'ttl_seconds' AND {_WATCHED}
"""

# What tells of an alert does not count: a receiver that is gone would keep an alert alive by what it is told of it.
_DELIVERIES = f"""
    SELECT count(*)::float8 AS value,
        jsonb_build_object('delivery_id', (array_agg(id ORDER BY ended_at DESC))[1]) AS found
    FROM (
        SELECT id, tenant, subject, task_id, ended_at FROM agent_tasks.deliveries
        WHERE status = 'failed' AND ended_at >= {_WITHIN} ORDER BY ended_at DESC LIMIT %(most)s
    ) AS dead
    WHERE task_id IS NOT NULL AND (%(everywhere)s OR tenant = %(tenant)s AND subject IS NOT NULL)
"""

_STATEMENTS: dict[str, LiteralString] = {
    "waiting": _WAITING,
    "pending": _PENDING,
    "unserved": _UNSERVED,
    "failures": _FAILURES,
    "spend": _SPEND,
    "orphans": _ORPHANS,
    "deliveries": _DELIVERIES,
}
_STATES = {"failures": ["completed", "failed", "timeout", "partial"], "orphans": ["failed", "partial"]}


class Measured(TypedDict):
    """What was measured."""

    value: float | None
    """None where there is nothing to measure."""
    found: dict[str, Any] | None
    """What it was measured of."""


class MeasuredRule(TypedDict):
    """What of an alert says what is measured."""

    tenant: str
    everywhere: bool
    kind: str
    window_seconds: float | None
    agent: str | None
    queue: str | None
    waits_for: str | None
    least: int | None


def measured(connection: Connection, rule: MeasuredRule, *, lease_seconds: float) -> Measured:
    """Measure what an alert watches."""
    values = {**rule, "lease_seconds": lease_seconds, "most": COUNTED, "charges": CHARGES}
    values["states"] = _STATES.get(rule["kind"])
    row: Measured | None = connection.execute(_STATEMENTS[rule["kind"]], values, prepare=False).fetchone()
    return row or {"value": None, "found": None}
