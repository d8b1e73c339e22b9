"""No arrow: what the console shows of a deployment, each with a bound on what is read for it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from agent_tasks.store.access import MAY_SEE, viewer
from agent_tasks.store.database import Connection
from agent_tasks.store.rows import GIVEN_IDS
from agent_tasks.task.identity import Identity

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
    SELECT * FROM (SELECT seq, name, payload, signal_id, sender, sent_at, consumed_step FROM agent_tasks.signals
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
    signal_id: str | None
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
