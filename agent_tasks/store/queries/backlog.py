"""No arrow: how much there is to do, and how long it has been waiting, for /metrics."""

from typing import TypedDict

from agent_tasks.store.database import Connection

COUNTED = 100_000
"""Rows of one kind that are counted, at most: a scrape must not read a million."""

_LIVING = """
    SELECT status, queue, kind, count(*) AS tasks,
        greatest(0, extract(epoch FROM clock_timestamp() - min(since)))::float8 AS oldest
    FROM (
        (SELECT CASE WHEN put_off_by IS NULL THEN status ELSE 'paused' END AS status, queue, NULL AS kind,
                pending_since AS since FROM agent_tasks.tasks
            WHERE status = 'pending' AND finished_at IS NULL LIMIT %(most)s)
        UNION ALL
        (SELECT status, queue, NULL, claimed_at FROM agent_tasks.tasks
            WHERE status = 'running' AND finished_at IS NULL LIMIT %(most)s)
        UNION ALL
        (SELECT status, queue, waiting_for ->> 'kind', (waiting_for ->> 'since')::timestamptz FROM agent_tasks.tasks
            WHERE status = 'waiting' AND finished_at IS NULL LIMIT %(most)s)
    ) AS living GROUP BY status, queue, kind
"""

_DELIVERIES = """
    SELECT count(*) AS deliveries,
        coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(created_at))), 0)::float8 AS oldest
    FROM (SELECT created_at FROM agent_tasks.deliveries WHERE status = 'pending' LIMIT %(most)s) AS pending
"""

_LAG = """
    SELECT coalesce(greatest(0, extract(epoch FROM clock_timestamp() - least(
        (SELECT min(due_at) FROM agent_tasks.tasks WHERE status = 'pending' AND finished_at IS NULL),
        (SELECT min(due_at) FROM agent_tasks.tasks WHERE status = 'running' AND finished_at IS NULL),
        (SELECT min(due_at) FROM agent_tasks.tasks WHERE status = 'waiting' AND finished_at IS NULL)
    ))), 0)::float8 AS seconds
"""

_CONNECTIONS = """
    SELECT coalesce(state, 'other') AS state, count(*) AS connections,
        current_setting('max_connections')::int AS most
    FROM pg_stat_activity WHERE datname = current_database() GROUP BY 1
"""


class LivingCount(TypedDict):
    """Tasks of one queue in one state; of those that wait, for one kind of thing."""

    status: str
    """`paused`: pending, and put off for a pause."""
    queue: str
    kind: str | None
    tasks: int
    oldest: float | None
    """Seconds since the first of them came to be so."""


class DeliveryCount(TypedDict):
    """Webhooks that are not delivered yet."""

    deliveries: int
    oldest: float


class ConnectionCount(TypedDict):
    """Connections to the database, in one state of Postgres's, and how many the server allows in all."""

    state: str
    connections: int
    most: int


def living(connection: Connection) -> list[LivingCount]:
    """Count the tasks that have not ended."""
    return connection.execute(_LIVING, {"most": COUNTED}).fetchall()


def deliveries(connection: Connection) -> DeliveryCount:
    """Count the webhooks that are to be delivered."""
    row: DeliveryCount | None = connection.execute(_DELIVERIES, {"most": COUNTED}).fetchone()
    assert row is not None
    return row


def sweep_lag(connection: Connection) -> float:
    """Return for how many seconds something has been due that a sweep is to see to."""
    row = connection.execute(_LAG).fetchone()
    assert row is not None
    return row["seconds"]


def connections(connection: Connection) -> list[ConnectionCount]:
    """Count the connections to the database, of whoever has them."""
    return connection.execute(_CONNECTIONS).fetchall()
