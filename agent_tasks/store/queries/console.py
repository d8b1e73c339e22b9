"""No arrow: what the console shows of a deployment, each with a bound on what is read for it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.access import MAY_SEE, viewer
from agent_tasks.store.database import Connection
from agent_tasks.store.queries.calls import CallRow
from agent_tasks.store.queries.read import EventRow
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
# The newest first: of a history without an end only its end is read.
_EVENTS = """
    SELECT task_id, seq, type, data, at FROM agent_tasks.events WHERE task_id = %(id)s ORDER BY seq DESC LIMIT %(limit)s
"""
_CALLS = """
    SELECT step_number, ordinal, name, status, attempts, tokens, least(usd, 1e300)::float8 AS usd, started_at,
        finished_at
    FROM agent_tasks.calls WHERE task_id = %(id)s AND {which} ORDER BY step_number DESC, ordinal DESC LIMIT %(limit)s
"""
_OF_UNDOING, _OF_STEPS = _CALLS.format(which="step_number < 0"), _CALLS.format(which="step_number >= 0")

# What a step is given, or that at which a task waits; as text where it is long.
_ARGUMENTS = f"""
    SELECT tasks.id, CASE WHEN octet_length(given.state::text) <= %(most)s THEN given.state END AS state,
        left(given.state::text, %(most)s) AS text
    FROM (SELECT id, step_number, input FROM agent_tasks.tasks WHERE {GIVEN_IDS}) AS tasks, LATERAL (
        SELECT CASE WHEN tasks.step_number = 0 THEN tasks.input ELSE (SELECT state FROM agent_tasks.checkpoints
            WHERE task_id = tasks.id AND checkpoints.step_number = tasks.step_number - 1) END AS state) AS given
"""
_GIVEN = """
    SELECT CASE WHEN %(number)s = 0 THEN input ELSE (SELECT state FROM agent_tasks.checkpoints
        WHERE task_id = tasks.id AND step_number = %(number)s - 1 AND next_step IS NOT NULL) END AS state
    FROM agent_tasks.tasks WHERE id = %(id)s
"""
_PAYLOADS = "SELECT input, sensitive FROM agent_tasks.tasks WHERE id = %s"
_SENSITIVE = f"SELECT id FROM agent_tasks.tasks WHERE {GIVEN_IDS} AND sensitive"
_SIGNALS = """
    SELECT * FROM (SELECT seq, name, payload, signal_id, sender, sent_at, consumed_step FROM agent_tasks.signals
        WHERE task_id = %(id)s OFFSET 0) AS signals
    ORDER BY seq DESC LIMIT %(limit)s
"""

# Of all tenants the newest of each agent; of what one identity may see the newest of whichever agent, by its own index.
_PAST_OF_ALL: LiteralString = """
    unnest(%(agents)s::text[]) AS agent (name), LATERAL (SELECT * FROM agent_tasks.tasks
        WHERE tasks.agent = agent.name AND status = 'completed' ORDER BY finished_at DESC LIMIT {most}) AS tasks
"""
_PAST_OF_ONE: LiteralString = f"""
    (SELECT * FROM agent_tasks.tasks WHERE {MAY_SEE} ORDER BY id DESC LIMIT {{most}} * 10) AS tasks
"""
_USUAL: LiteralString = """
    SELECT tasks.agent, count(*) AS tasks,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY spent_steps) AS steps_50,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY spent_steps) AS steps_95,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY past.usd) AS usd_50,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY past.usd) AS usd_95,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY past.seconds) AS seconds_50,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY past.seconds) AS seconds_95
    FROM {past}, LATERAL (SELECT least(spent_usd, 1e300)::float8 AS usd,
        extract(epoch FROM finished_at - created_at)::float8 AS seconds) AS past
    WHERE tasks.agent = ANY (%(agents)s) AND status = 'completed'
    GROUP BY tasks.agent
"""
_STEP_TIMES: LiteralString = """
    SELECT tasks.agent, checkpoints.step, count(*) AS times,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY checkpoints.seconds) AS seconds_50,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY checkpoints.seconds) AS seconds_95
    FROM {past}, LATERAL (SELECT step, seconds FROM agent_tasks.checkpoints WHERE task_id = tasks.id
        ORDER BY step_number DESC LIMIT 100) AS checkpoints
    WHERE tasks.agent = ANY (%(agents)s) AND status = 'completed'
    GROUP BY tasks.agent, checkpoints.step ORDER BY tasks.agent, seconds_50 DESC, checkpoints.step
"""
_SESSION = """
    SELECT statement_timestamp() AS now, EXISTS (SELECT FROM agent_tasks.ended_sessions WHERE id = %s) AS ended
"""


class SessionRow(TypedDict):
    """The time, and whether a session was ended before its own."""

    now: datetime
    ended: bool


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


class StepTimesRow(TypedDict):
    """How long a step of an agent took, of its latest completed tasks."""

    agent: str
    step: str
    times: int
    seconds_50: float
    seconds_95: float


class ArgumentsRow(TypedDict):
    """What the step that a task is at was given."""

    id: UUID
    state: Any
    """None where it is long."""
    text: str | None
    """The beginning of it as JSON."""


class GivenRow(TypedDict):
    """What a step was given."""

    state: Any


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


def session(connection: Connection, id: str) -> SessionRow:
    """The database's time, and whether this session was ended."""
    row: SessionRow | None = connection.execute(_SESSION, [id]).fetchone()
    assert row is not None
    return row


def checkpoints(connection: Connection, task_id: UUID, limit: int) -> list[CheckpointRow]:
    """The last committed steps of a task, the newest first."""
    return connection.execute(_CHECKPOINTS, {"id": task_id, "limit": limit}).fetchall()


def states(connection: Connection, task_id: UUID, numbers: Sequence[int]) -> dict[int, StateRow]:
    """What these steps have kept, by their numbers."""
    rows: list[StateRow] = connection.execute(_STATES, {"id": task_id, "numbers": list(numbers)}).fetchall()
    return {row["step_number"]: row for row in rows}


def latest_events(connection: Connection, task_id: UUID, limit: int) -> list[EventRow]:
    """The last events of a task, in order."""
    rows: list[EventRow] = connection.execute(_EVENTS, {"id": task_id, "limit": limit}).fetchall()
    return rows[::-1]


def latest_calls(connection: Connection, task_id: UUID, limit: int) -> list[CallRow]:
    """The last recorded calls of a task, in order: those of undo functions, which come last, with negative numbers."""
    found: list[CallRow] = []
    for sql in (_OF_UNDOING, _OF_STEPS):
        if len(found) < limit:
            found += connection.execute(sql, {"id": task_id, "limit": limit - len(found)}).fetchall()
    return found[::-1]


def arguments(connection: Connection, task_ids: Sequence[UUID], most: int) -> dict[UUID, ArgumentsRow]:
    """What the steps that these tasks are at were given; of each up to `most` bytes of JSON."""
    values = {"ids": list(task_ids), "most": most}
    rows: list[ArgumentsRow] = connection.execute(_ARGUMENTS, values).fetchall()
    return {row["id"]: row for row in rows}


def given(connection: Connection, task_id: UUID, number: int) -> GivenRow | None:
    """What the step of this number was given; None where there is none."""
    row: GivenRow | None = connection.execute(_GIVEN, {"id": task_id, "number": number}).fetchone()
    return row if row is not None and row["state"] is not None else None


def payloads(connection: Connection, task_id: UUID) -> PayloadRow | None:
    """What a task was given, and whether its agent is sensitive."""
    return connection.execute(_PAYLOADS, [task_id]).fetchone()


def sensitive(connection: Connection, task_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these tasks whose agents are sensitive."""
    return {row["id"] for row in connection.execute(_SENSITIVE, {"ids": list(task_ids)})}


def signals(connection: Connection, task_id: UUID, limit: int) -> list[SignalRow]:
    """The last signals that have come for a task, the newest first."""
    return connection.execute(_SIGNALS, {"id": task_id, "limit": limit}).fetchall()


def step_times(
    connection: Connection, agents: Sequence[str], identity: Identity | None
) -> dict[str, list[StepTimesRow]]:
    """How long the steps of these agents' latest completed tasks took, the slowest first; at most 100 of each task."""
    values = {"agents": list(agents), **viewer(identity)}
    rows: list[StepTimesRow] = connection.execute(
        _of_past(_STEP_TIMES, identity, "50"), values, prepare=False
    ).fetchall()
    found: dict[str, list[StepTimesRow]] = {}
    for row in rows:
        found.setdefault(row["agent"], []).append(row)
    return found


def usual(connection: Connection, agents: Sequence[str], identity: Identity | None) -> dict[str, UsualRow]:
    """What the latest completed tasks of these agents took, of those that `identity` may see, where there are any."""
    values = {"agents": list(agents), **viewer(identity)}
    rows: list[UsualRow] = connection.execute(_of_past(_USUAL, identity, "200"), values, prepare=False).fetchall()
    return {row["agent"]: row for row in rows}


def _of_past(sql: LiteralString, identity: Identity | None, most: LiteralString) -> LiteralString:
    past = _PAST_OF_ALL if identity is None else _PAST_OF_ONE
    return sql.format(past=past.format(most=most))
