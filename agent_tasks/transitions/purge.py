"""terminal → nothing: finished tasks go after their retention, in trees."""

from agent_tasks.database import Connection

# A child stays as long as its root: `resume` and `children()` of the root read it.
_PURGE = """
    DELETE FROM tasks WHERE id IN (
        SELECT tasks.id FROM tasks
        WHERE tasks.finished_at < clock_timestamp()
                - make_interval(secs => %(seconds)s * CASE WHEN acknowledged_at IS NULL THEN 1 ELSE 0.1 END)
            AND NOT EXISTS (SELECT FROM tasks AS root WHERE root.id = tasks.root_id AND root.id <> tasks.id)
            AND NOT EXISTS (SELECT FROM tasks AS child WHERE child.root_id = tasks.id AND child.finished_at IS NULL)
        ORDER BY tasks.finished_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
"""


def purge(connection: Connection, *, limit: int, seconds: float) -> int:
    """Delete trees that ended more than `seconds` ago; acknowledged ones go after a tenth of it."""
    return connection.execute(_PURGE, {"limit": limit, "seconds": seconds}).rowcount


def purge_keys(connection: Connection, *, limit: int) -> int:
    """Delete expired idempotency keys."""
    return connection.execute(
        """
        DELETE FROM idempotency_keys WHERE (tenant, subject, key) IN (
            SELECT tenant, subject, key FROM idempotency_keys
            WHERE expires_at < clock_timestamp() LIMIT %s FOR UPDATE SKIP LOCKED)
        """,
        [limit],
    ).rowcount
