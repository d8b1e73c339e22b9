"""Watches: since when something is looked at without a gap, and when it last was."""

from datetime import datetime

from agent_tasks.store.database import Connection

DELIVERER = "deliverer"
"""The watch that deliverers keep: over what is due."""

_WATCH = """
    INSERT INTO agent_tasks.watches AS watch (name, since, last_at)
        VALUES (%(name)s, clock_timestamp(), clock_timestamp())
    ON CONFLICT (name) DO UPDATE SET
        since = CASE WHEN watch.last_at < clock_timestamp() - make_interval(secs => %(gap_seconds)s)
            THEN clock_timestamp() ELSE watch.since END,
        last_at = clock_timestamp()
    RETURNING since
"""


def watch(connection: Connection, name: str, *, gap_seconds: float) -> datetime:
    """Note that the watch of this name looks now; since when it has looked without a gap of `gap_seconds`."""
    row = connection.execute(_WATCH, {"name": name, "gap_seconds": gap_seconds}).fetchone()
    assert row is not None
    return row["since"]
