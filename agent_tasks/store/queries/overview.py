"""No arrow: what a deployment does now and did in the last day, each with a bound on what is read for it."""

from datetime import datetime, timedelta
from typing import LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.access import MAY_SEE, viewer
from agent_tasks.store.database import Connection
from agent_tasks.task.identity import Identity

COUNTED = 20_000
"""Tasks of one state, or charges, that are counted, at most."""

# Those submitted first, so that the oldest are among them. Of one tenant in whatever order, by its own index:
# the living tasks of one are few beside those of all, along which an order would walk.
_LIVING: LiteralString = """
    (SELECT status, agent, step, queue, waiting_for ->> 'kind' AS kind,
        CASE status WHEN 'waiting' THEN (waiting_for ->> 'since')::timestamptz WHEN 'running' THEN claimed_at
            ELSE pending_since END AS since
    FROM agent_tasks.tasks WHERE status = '{status}' AND finished_at IS NULL AND {may_see} {order} LIMIT %(most)s)
"""
_STATES: tuple[LiteralString, ...] = ("pending", "running", "waiting")
_COUNTS: LiteralString = """
    SELECT status, queue, kind, count(*) AS tasks, min(since) AS since FROM ({living}) AS living
    GROUP BY status, queue, kind ORDER BY status, tasks DESC, queue
"""
_PENDING_STEPS: LiteralString = """
    SELECT agent, step, queue, count(*) AS tasks, min(since) AS since FROM ({living}) AS living
    GROUP BY agent, step, queue ORDER BY since, agent, step, queue LIMIT 1000
"""

_FAILED = f"""
    SELECT id, agent, status, finished_at, coalesce(error ->> 'type', status) AS type FROM agent_tasks.tasks
    WHERE status = ANY (ARRAY['failed', 'timeout', 'partial']) AND finished_at IS NOT NULL
        AND finished_at > statement_timestamp() - interval '1 hour' AND {MAY_SEE} LIMIT %(most)s
"""
_FAILURES = f"""
    SELECT type, agent, count(*) AS tasks, max(finished_at) AS last_at,
        (array_agg(id ORDER BY finished_at DESC))[1] AS id
    FROM ({_FAILED}) AS failed GROUP BY type, agent ORDER BY tasks DESC, type, agent LIMIT 20
"""
_FAILURES_BY_STATUS = f"""
    SELECT status, count(*) AS tasks FROM ({_FAILED}) AS failed GROUP BY status ORDER BY status
"""

_ENDED: LiteralString = """
    (SELECT status, finished_at FROM agent_tasks.tasks WHERE status = '{status}' AND finished_at IS NOT NULL
        AND finished_at > statement_timestamp() - interval '1 day' AND {may_see}
        ORDER BY finished_at DESC LIMIT %(most)s)
"""
_ENDS = f"""
    SELECT date_bin('30 minutes', finished_at, '2000-01-01Z') AS at, status, count(*) AS tasks
    FROM ({" UNION ALL ".join(_ENDED.format(status=status, may_see=MAY_SEE)
                             for status in ("completed", "failed", "cancelled", "timeout", "partial"))}) AS ended
    GROUP BY at, status ORDER BY at
"""  # fmt: skip

_SUBMITS = f"""
    SELECT date_bin('30 minutes', created_at, '2000-01-01Z') AS at, count(*) AS tasks FROM (
        SELECT created_at FROM agent_tasks.tasks WHERE id >= %(above)s AND {MAY_SEE} ORDER BY id DESC LIMIT %(most)s
    ) AS submitted WHERE created_at > statement_timestamp() - interval '1 day' GROUP BY at ORDER BY at
"""

_SPENT = f"""
    SELECT date_bin('30 minutes', at, '2000-01-01Z') AS at, count(*) AS charges,
        least(sum(coalesce((data ->> 'usd')::numeric, 0)), 1e300)::float8 AS usd
    FROM (
        SELECT at, data FROM agent_tasks.events
        WHERE type = 'charged' AND at > statement_timestamp() - interval '1 day' AND (%(viewer)s::text IS NULL
            OR EXISTS (SELECT FROM agent_tasks.tasks WHERE tasks.id = events.task_id AND {MAY_SEE}))
        ORDER BY at DESC LIMIT %(most)s
    ) AS charged GROUP BY 1 ORDER BY 1
"""

_HELD = """
    SELECT worker, count(*) AS tasks FROM (SELECT worker FROM agent_tasks.tasks
        WHERE status = 'running' AND finished_at IS NULL LIMIT %(most)s) AS running
    GROUP BY worker
"""

_OPEN = f"""
    SELECT tenant, count(*) AS tasks FROM (SELECT tenant FROM agent_tasks.tasks
        WHERE identity IS NOT NULL AND finished_at IS NULL AND {MAY_SEE} LIMIT %(most)s) AS open
    GROUP BY tenant ORDER BY tasks DESC, tenant LIMIT 50
"""


class CountRow(TypedDict):
    """Living tasks of one queue in one state; of those that wait, for one kind of thing."""

    status: str
    queue: str
    kind: str | None
    tasks: int
    since: datetime | None
    """When the first of them came to be so."""


class PendingStepRow(TypedDict):
    """Pending tasks of one step on one queue."""

    agent: str
    step: str
    queue: str
    tasks: int
    since: datetime | None


class FailureRow(TypedDict):
    """Tasks of one agent that ended in the last hour with one type of error."""

    type: str
    agent: str
    tasks: int
    last_at: datetime
    id: UUID
    """The last of them."""


class StatusRow(TypedDict):
    """Tasks in one state."""

    status: str
    tasks: int


class EndRow(TypedDict):
    """Tasks that ended within half an hour, in one state."""

    at: datetime
    status: str
    tasks: int


class SubmitRow(TypedDict):
    """Tasks that were submitted within half an hour."""

    at: datetime
    tasks: int


class SpentRow(TypedDict):
    """What was charged within half an hour."""

    at: datetime
    charges: int
    usd: float


class OpenRow(TypedDict):
    """Tasks of a tenant that have not ended."""

    tenant: str
    tasks: int


class HeldRow(TypedDict):
    """How many tasks a worker runs."""

    worker: str | None
    tasks: int


def counts(connection: Connection, identity: Identity | None) -> list[CountRow]:
    """Count the tasks that have not ended, of those that `identity` may see."""
    sql = _COUNTS.format(living=_living(_STATES, identity))
    return connection.execute(sql, _values(identity), prepare=False).fetchall()


def pending_steps(connection: Connection, identity: Identity | None) -> list[PendingStepRow]:
    """Count by step and queue the pending tasks that `identity` may see, those first that have been so the longest."""
    sql = _PENDING_STEPS.format(living=_living(("pending",), identity))
    return connection.execute(sql, _values(identity), prepare=False).fetchall()


def failures(connection: Connection, identity: Identity | None) -> list[FailureRow]:
    """Count by type of error and agent what has failed in the last hour, most first."""
    return connection.execute(_FAILURES, _values(identity), prepare=False).fetchall()


def failures_by_status(connection: Connection, identity: Identity | None) -> list[StatusRow]:
    """Count by state what has ended in the last hour without completing, but for what was cancelled."""
    return connection.execute(_FAILURES_BY_STATUS, _values(identity), prepare=False).fetchall()


def ends(connection: Connection, identity: Identity | None) -> list[EndRow]:
    """Count the ends of the last day by half hours; of each state the newest `COUNTED`."""
    return connection.execute(_ENDS, _values(identity), prepare=False).fetchall()


def submits(connection: Connection, identity: Identity | None, now: datetime) -> list[SubmitRow]:
    """Count what was submitted in the last day by half hours; the newest `COUNTED`."""
    above = UUID(int=int((now - timedelta(days=1)).timestamp() * 1000) << 80)  # ids begin with the time
    return connection.execute(_SUBMITS, {**_values(identity), "above": above}, prepare=False).fetchall()


def spent(connection: Connection, identity: Identity | None) -> list[SpentRow]:
    """Sum up the charges of the last day by half hours; the newest `COUNTED`."""
    return connection.execute(_SPENT, _values(identity), prepare=False).fetchall()


def held(connection: Connection) -> dict[str, int]:
    """How many tasks each worker runs."""
    rows: list[HeldRow] = connection.execute(_HELD, {"most": COUNTED}).fetchall()
    return {row["worker"]: row["tasks"] for row in rows if row["worker"] is not None}


def open_tasks(connection: Connection, identity: Identity | None) -> list[OpenRow]:
    """Count by tenant the tasks that have not ended, of those that `identity` may see, most first."""
    return connection.execute(_OPEN, _values(identity), prepare=False).fetchall()


def _living(states: tuple[LiteralString, ...], identity: Identity | None) -> LiteralString:
    order: LiteralString = "ORDER BY id" if identity is None else ""
    return " UNION ALL ".join(_LIVING.format(status=status, may_see=MAY_SEE, order=order) for status in states)


def _values(identity: Identity | None) -> dict[str, object]:
    return {"most": COUNTED, **viewer(identity)}
