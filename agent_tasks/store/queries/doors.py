"""What a door asks before it lets a request in: an agent's pace, a session's queue, a tenant's load."""

from typing import TypedDict

from agent_tasks.store.access import MAY_SEE, viewer
from agent_tasks.store.database import Connection
from agent_tasks.store.queries.condition import OF_SESSION
from agent_tasks.task.identity import Identity

_LOOKED_AT = 10_000
"""Rows that are read for one answer at the most."""

_PACE = """
    SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds)::float8 AS p95, count(*) AS runs FROM (
        SELECT extract(epoch FROM finished_at - created_at)::float8 AS seconds FROM (
            SELECT parent_id, created_at, finished_at FROM agent_tasks.tasks
            WHERE status = 'completed' AND agent = %(agent)s ORDER BY finished_at DESC LIMIT %(looked_at)s
        ) AS completed WHERE parent_id IS NULL ORDER BY finished_at DESC LIMIT %(runs)s
    ) AS roots
"""

_SESSION_QUEUE = f"""
    SELECT queue FROM (
        SELECT id, agent, queue, tenant, identity FROM agent_tasks.tasks
        WHERE {OF_SESSION} AND session_id = %(session_id)s
        ORDER BY id DESC LIMIT %(looked_at)s
    ) AS tasks
    WHERE agent = %(agent)s AND {MAY_SEE}
    ORDER BY id DESC LIMIT 1
"""

_OPEN = """
    SELECT count(*) AS tasks FROM (
        SELECT FROM agent_tasks.tasks WHERE identity IS NOT NULL AND finished_at IS NULL AND tenant = %s LIMIT %s
    ) AS living
"""


class Pace(TypedDict):
    """How long an agent's last runs took."""

    p95: float | None
    """Seconds from submit to the end that 95 of 100 did not exceed; None where there are no runs."""
    runs: int
    """How many were looked at."""


def pace(connection: Connection, agent: str, runs: int = 100) -> Pace:
    """Return how long the agent's last completed root tasks took."""
    values = {"agent": agent, "runs": runs, "looked_at": _LOOKED_AT}
    row: Pace | None = connection.execute(_PACE, values).fetchone()
    assert row is not None
    return row


def session_queue(connection: Connection, session_id: str, agent: str, identity: Identity | None) -> str | None:
    """Return the queue of the newest task of the session and agent that `identity` may see; None if there is none."""
    row = connection.execute(
        _SESSION_QUEUE,
        {"session_id": session_id, "agent": agent, "looked_at": _LOOKED_AT, **viewer(identity)},
    ).fetchone()
    return row["queue"] if row else None


def open_tasks(connection: Connection, tenant: str, most: int) -> int:
    """Count the tasks of a tenant's identities that have not ended, up to `most`."""
    row = connection.execute(_OPEN, [tenant, most]).fetchone()
    assert row is not None
    return row["tasks"]


def has_pending_deliveries(connection: Connection) -> bool:
    """Whether any webhook is to be sent, now or later."""
    found = connection.execute(
        "SELECT lane FROM agent_tasks.deliveries WHERE status = 'pending' AND lane > '' ORDER BY lane LIMIT 1"
    )
    return found.fetchone() is not None
