"""nothing → nothing: what an AgentCore runtime says of itself, and since when."""

from datetime import datetime
from typing import Literal, TypedDict

from agent_tasks.store.database import Connection
from agent_tasks.transitions.invoke import ALIVE, GOES_ON, WORKS, Runtime

Health = Literal["Healthy", "HealthyBusy"]


class Ping(TypedDict):
    """The status, and the time at which it became that."""

    status: Health
    since: datetime


class _LookRow(TypedDict):
    now: Health
    status: Health | None
    since: datetime | None


_LOOK = f"""
    SELECT CASE WHEN
            EXISTS (
                SELECT FROM agent_tasks.agentcore_sessions AS session
                WHERE session.agent = %(agent)s AND session.tenant = %(tenant)s AND session.subject = %(subject)s
                    AND session.invoked_at > statement_timestamp() - make_interval(secs => %(life)s)
                    AND {ALIVE} AND {WORKS})
            OR EXISTS (
                SELECT FROM agent_tasks.agentcore_jobs AS job
                WHERE job.started_at > statement_timestamp() - make_interval(secs => %(life)s)
                    AND (job.subject IS NULL OR job.tenant = %(tenant)s AND job.subject = %(subject)s) AND {GOES_ON})
        THEN 'HealthyBusy' ELSE 'Healthy' END AS now,
        said.status, said.since
    FROM (SELECT) AS here LEFT JOIN agent_tasks.agentcore_pings AS said
        ON said.agent = %(agent)s AND said.tenant = %(tenant)s AND said.subject = %(subject)s
"""

_LOCK = """
    INSERT INTO agent_tasks.agentcore_pings AS said (agent, tenant, subject, status)
    VALUES (%(agent)s, %(tenant)s, %(subject)s, 'Healthy')
    ON CONFLICT (agent, tenant, subject) DO UPDATE SET status = said.status
"""

_SAY = """
    UPDATE agent_tasks.agentcore_pings SET status = %(status)s, since = clock_timestamp()
    WHERE agent = %(agent)s AND tenant = %(tenant)s AND subject = %(subject)s
    RETURNING status, since
"""


def ping(connection: Connection, runtime: Runtime) -> Ping:
    """Return what the runtime is, which is noted where it has changed."""
    seen = _look(connection, runtime)
    if seen["status"] == seen["now"] and seen["since"] is not None:
        return Ping(status=seen["now"], since=seen["since"])
    with connection.transaction():
        connection.execute(_LOCK, runtime.values())
        seen = _look(connection, runtime)  # anew: another gateway may have noted it
        if seen["status"] == seen["now"] and seen["since"] is not None:
            return Ping(status=seen["now"], since=seen["since"])
        said: Ping | None = connection.execute(_SAY, {**runtime.values(), "status": seen["now"]}).fetchone()
    assert said is not None
    return said


def _look(connection: Connection, runtime: Runtime) -> _LookRow:
    row: _LookRow | None = connection.execute(_LOOK, runtime.values()).fetchone()
    assert row is not None
    return row
