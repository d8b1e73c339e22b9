"""No arrow: what the console shows of a deployment, each with a bound on what is read for it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.access import MAY_SEE, viewer
from agent_tasks.store.database import Connection
from agent_tasks.store.rows import GIVEN_IDS
from agent_tasks.task.identity import Identity

COUNTED = 20_000
"""Tasks of one state that are counted, at most."""

# Of the tenant's own index, where there is a tenant: the living of one are few beside those of all.
_LIVING: LiteralString = """
    (SELECT status, queue, waiting_for ->> 'kind' AS kind,
        CASE status WHEN 'waiting' THEN (waiting_for ->> 'since')::timestamptz WHEN 'running' THEN claimed_at
            ELSE pending_since END AS since
    FROM agent_tasks.tasks WHERE status = '{status}' AND finished_at IS NULL AND {may_see} LIMIT %(most)s)
"""
_COUNTS = f"""
    SELECT status, queue, kind, count(*) AS tasks, min(since) AS since
    FROM ({" UNION ALL ".join(_LIVING.format(status=status, may_see=MAY_SEE)
                             for status in ("pending", "running", "waiting"))}) AS living
    GROUP BY status, queue, kind ORDER BY status, tasks DESC, queue
"""  # fmt: skip

_FAILURES = f"""
    SELECT type, agent, count(*) AS tasks, max(finished_at) AS last_at,
        (array_agg(id ORDER BY finished_at DESC))[1] AS id
    FROM (SELECT id, agent, finished_at, coalesce(error ->> 'type', status) AS type FROM agent_tasks.tasks
        WHERE status = ANY (ARRAY['failed', 'timeout', 'partial']) AND finished_at IS NOT NULL
            AND finished_at > statement_timestamp() - interval '1 hour' AND {MAY_SEE} LIMIT %(most)s) AS failed
    GROUP BY type, agent ORDER BY tasks DESC, type, agent LIMIT 20
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

_HELD = """
    SELECT worker, count(*) AS tasks FROM (SELECT worker FROM agent_tasks.tasks
        WHERE status = 'running' AND finished_at IS NULL LIMIT %(most)s) AS running
    GROUP BY worker
"""

_NOW = "SELECT statement_timestamp() AS now, pg_current_snapshot()::text AS snapshot"

# The columns are those that a page lists: no state, no payload. The newest first, to be cut where there are very many.
_CHECKPOINTS = """
    SELECT step_number, step, next_step, committed_at, seconds, run, octet_length(state::text) AS bytes
    FROM agent_tasks.checkpoints WHERE task_id = %(id)s ORDER BY step_number DESC LIMIT %(limit)s
"""
_STATES = """
    SELECT step_number, step, next_step, state FROM agent_tasks.checkpoints
    WHERE task_id = %(id)s AND step_number = ANY (%(numbers)s)
"""
_PAYLOADS = "SELECT input, sensitive FROM agent_tasks.tasks WHERE id = %s"
_SENSITIVE = f"SELECT id FROM agent_tasks.tasks WHERE {GIVEN_IDS} AND sensitive"
_SIGNALS = """
    SELECT * FROM (SELECT seq, name, payload, sender, sent_at, consumed_step FROM agent_tasks.signals
        WHERE task_id = %(id)s OFFSET 0) AS signals
    ORDER BY seq DESC LIMIT %(limit)s
"""

# The newest of each agent are looked at, whosever they are, so that few pages are read.
_USUAL = f"""
    SELECT agent.name AS agent, count(*) AS tasks,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY past.spent_steps) AS steps_50,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY past.spent_steps) AS steps_95,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY past.usd) AS usd_50,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY past.usd) AS usd_95,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY past.seconds) AS seconds_50,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY past.seconds) AS seconds_95
    FROM unnest(%(agents)s::text[]) AS agent (name), LATERAL (
        SELECT tasks.spent_steps, least(tasks.spent_usd, 1e300)::float8 AS usd,
            extract(epoch FROM tasks.finished_at - tasks.created_at)::float8 AS seconds
        FROM (SELECT * FROM agent_tasks.tasks WHERE tasks.agent = agent.name AND status = 'completed'
            ORDER BY finished_at DESC LIMIT 200) AS tasks
        WHERE {MAY_SEE}
    ) AS past
    GROUP BY agent.name
"""


class CountRow(TypedDict):
    """Living tasks of one queue in one state; of those that wait, for one kind of thing."""

    status: str
    queue: str
    kind: str | None
    tasks: int
    since: datetime | None
    """When the first of them came to be so."""


class FailureRow(TypedDict):
    """Tasks of one agent that ended in the last hour with one type of error."""

    type: str
    agent: str
    tasks: int
    last_at: datetime
    id: UUID
    """The last of them."""


class EndRow(TypedDict):
    """Tasks that ended within half an hour, in one state."""

    at: datetime
    status: str
    tasks: int


class HeldRow(TypedDict):
    """How many tasks a worker runs."""

    worker: str | None
    tasks: int


class NowRow(TypedDict):
    """The time, and what has been committed by then: the text changes with every commit."""

    now: datetime
    snapshot: str


class CheckpointRow(TypedDict):
    """A committed step, without what it has kept."""

    step_number: int
    step: str
    next_step: str | None
    committed_at: datetime
    seconds: float
    run: int
    bytes: int | None


class StateRow(TypedDict):
    """What a committed step has kept."""

    step_number: int
    step: str
    next_step: str | None
    state: dict[str, Any] | None


class PayloadRow(TypedDict):
    """What a task was given."""

    input: Any
    sensitive: bool


class SignalRow(TypedDict):
    """A signal that has come for a task."""

    seq: int
    name: str
    payload: Any
    sender: dict[str, Any] | None
    sent_at: datetime
    consumed_step: int | None


class UsualRow(TypedDict):
    """What the latest completed tasks of an agent took."""

    agent: str
    tasks: int
    steps_50: float
    steps_95: float
    usd_50: float
    usd_95: float
    seconds_50: float
    seconds_95: float


def counts(connection: Connection, identity: Identity | None) -> list[CountRow]:
    """Count the tasks that have not ended, of those that `identity` may see."""
    return connection.execute(_COUNTS, {"most": COUNTED, **viewer(identity)}, prepare=False).fetchall()


def failures(connection: Connection, identity: Identity | None) -> list[FailureRow]:
    """Count by type of error and agent what has failed in the last hour, most first."""
    return connection.execute(_FAILURES, {"most": COUNTED, **viewer(identity)}, prepare=False).fetchall()


def ends(connection: Connection, identity: Identity | None) -> list[EndRow]:
    """Count the ends of the last day by half hours; of each state the newest `COUNTED`."""
    return connection.execute(_ENDS, {"most": COUNTED, **viewer(identity)}, prepare=False).fetchall()


def held(connection: Connection) -> dict[str, int]:
    """How many tasks each worker runs."""
    rows: list[HeldRow] = connection.execute(_HELD, {"most": COUNTED}).fetchall()
    return {row["worker"]: row["tasks"] for row in rows if row["worker"] is not None}


def now(connection: Connection) -> NowRow:
    """The database's time, and a text that changes with every commit."""
    row = connection.execute(_NOW).fetchone()
    assert row is not None
    return row


def checkpoints(connection: Connection, task_id: UUID, limit: int) -> list[CheckpointRow]:
    """The last committed steps of a task, the newest first."""
    return connection.execute(_CHECKPOINTS, {"id": task_id, "limit": limit}).fetchall()


def states(connection: Connection, task_id: UUID, numbers: Sequence[int]) -> dict[int, StateRow]:
    """What these steps have kept, by their numbers."""
    rows: list[StateRow] = connection.execute(_STATES, {"id": task_id, "numbers": list(numbers)}).fetchall()
    return {row["step_number"]: row for row in rows}


def payloads(connection: Connection, task_id: UUID) -> PayloadRow | None:
    """What a task was given, and whether its agent is sensitive."""
    return connection.execute(_PAYLOADS, [task_id]).fetchone()


def sensitive(connection: Connection, task_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these tasks whose agents are sensitive."""
    return {row["id"] for row in connection.execute(_SENSITIVE, {"ids": list(task_ids)})}


def signals(connection: Connection, task_id: UUID, limit: int) -> list[SignalRow]:
    """The last signals that have come for a task, the newest first."""
    return connection.execute(_SIGNALS, {"id": task_id, "limit": limit}).fetchall()


def usual(connection: Connection, agents: Sequence[str], identity: Identity | None) -> dict[str, UsualRow]:
    """What the latest completed tasks of these agents took, of those that `identity` may see, where there are any."""
    values = {"agents": list(agents), **viewer(identity)}
    rows: list[UsualRow] = connection.execute(_USUAL, values, prepare=False).fetchall()
    return {row["agent"]: row for row in rows}
