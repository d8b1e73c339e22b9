"""told → gone: events that webhooks were told of long ago are deleted, with their deliveries."""

from typing import LiteralString

from agent_tasks.store.database import Connection

# With all of its deliveries, or not at all: by those that are kept a replay knows what has come. The OFFSET has them
# looked up for each event, by the index, and not joined with all events.
_IS_OVER: LiteralString = """
    NOT EXISTS (
        SELECT FROM agent_tasks.deliveries WHERE outbox_id = outbox.id AND (
            ended_at IS NULL OR ended_at >= statement_timestamp() - make_interval(secs => %(seconds)s))
        OFFSET 0)
"""
_LOCK = f"""
    SELECT id FROM agent_tasks.outbox
    WHERE at < statement_timestamp() - make_interval(secs => %(seconds)s) AND {_IS_OVER}
    ORDER BY at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""
_DELETE = f"""
    WITH deleted AS (
        DELETE FROM agent_tasks.outbox WHERE id = ANY (%(ids)s) AND {_IS_OVER} RETURNING id
    ), deliveries_deleted AS (
        DELETE FROM agent_tasks.deliveries WHERE outbox_id = ANY (ARRAY(SELECT id FROM deleted))
    )
    SELECT id FROM deleted
"""


def purge(connection: Connection, *, limit: int, seconds: float) -> int:
    """Delete events older than `seconds` whose deliveries are over for as long, the oldest first, at most `limit`.

    Within a transaction. Returns how many.
    """
    values = {"limit": limit, "seconds": seconds}
    ids = [row["id"] for row in connection.execute(_LOCK, values, prepare=False)]
    if not ids:
        return 0
    # the next statement sees a replay that has ended since, for which the rows were locked
    return len(connection.execute(_DELETE, {"ids": ids, **values}, prepare=False).fetchall())
