"""terminal → nothing: finished tasks go after their retention, in trees."""

from agent_tasks.database import Connection

# A tree goes as one, when all of it is old; not while a resumed task may read from it, or a key stands for it.
_PURGE = """
    DELETE FROM tasks WHERE root_id IN (
        SELECT tasks.id FROM tasks
        WHERE tasks.finished_at < statement_timestamp()
                - make_interval(secs => %(seconds)s * CASE WHEN acknowledged_at IS NULL THEN 1 ELSE 0.1 END)
            AND tasks.root_id = tasks.id
            AND NOT EXISTS (
                SELECT FROM tasks AS child WHERE child.root_id = tasks.id AND (child.finished_at IS NULL
                    OR child.finished_at >= clock_timestamp() - make_interval(secs => %(seconds)s)
                        AND tasks.acknowledged_at IS NULL))
            AND NOT EXISTS (
                WITH RECURSIVE later AS (
                    SELECT next.id, next.finished_at FROM tasks AS member JOIN tasks AS next
                        ON next.resumed_from = member.id WHERE member.root_id = tasks.id
                    UNION SELECT next.id, next.finished_at
                        FROM tasks AS next JOIN later ON next.resumed_from = later.id)
                SELECT FROM later WHERE finished_at IS NULL)
            AND NOT EXISTS (
                SELECT FROM idempotency_keys AS key
                WHERE key.task_id = tasks.id AND key.expires_at > clock_timestamp())
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
            WHERE expires_at < statement_timestamp() LIMIT %s FOR UPDATE SKIP LOCKED)
        """,
        [limit],
    ).rowcount
