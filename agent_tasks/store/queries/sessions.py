"""No arrow: what belongs to a session, in sum."""

from datetime import datetime
from typing import TypedDict

from agent_tasks.store.access import MAY_SEE, viewer
from agent_tasks.store.database import Connection
from agent_tasks.store.queries.condition import OF_SESSION
from agent_tasks.task.identity import Identity

SUMMED_UP = 20_000
"""Tasks of a session that are summed up, at most."""

# What a parent has spent has that of its children in it.
_TOTALS = f"""
    SELECT status, count(*) AS tasks, min(created_at) AS first_at, max(created_at) AS last_at,
        least(coalesce(sum(spent_usd) FILTER (WHERE parent_id IS NULL), 0), 1e300)::float8 AS usd,
        coalesce(sum(spent_tokens) FILTER (WHERE parent_id IS NULL), 0)::float8 AS tokens,
        array_agg(DISTINCT agent) AS agents
    FROM (SELECT * FROM (
            SELECT * FROM agent_tasks.tasks WHERE {OF_SESSION} AND session_id = %(session_id)s OFFSET 0) AS tasks
        WHERE tenant = %(tenant)s AND {MAY_SEE} LIMIT %(most)s) AS tasks
    GROUP BY status ORDER BY tasks DESC, status
"""


class TotalRow(TypedDict):
    """The tasks of a session that are in one state."""

    status: str
    tasks: int
    first_at: datetime
    last_at: datetime
    usd: float
    tokens: float
    agents: list[str]


def totals(connection: Connection, session_id: str, tenant: str, identity: Identity | None) -> list[TotalRow]:
    """Sum up by state what belongs to a session of a tenant, of what `identity` may see."""
    values = {"session_id": session_id, "tenant": tenant, "most": SUMMED_UP, **viewer(identity)}
    return connection.execute(_TOTALS, values, prepare=False).fetchall()
