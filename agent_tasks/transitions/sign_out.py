"""No arrow: ending a session of the console before its time, and forgetting those whose time has come."""

from agent_tasks.store.database import Connection

_END = """
    INSERT INTO agent_tasks.ended_sessions (id, expires_at) VALUES (%(id)s, to_timestamp(%(until)s))
    ON CONFLICT (id) DO NOTHING
"""
_FORGET = """
    DELETE FROM agent_tasks.ended_sessions WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM agent_tasks.ended_sessions WHERE expires_at < statement_timestamp()
        ORDER BY expires_at LIMIT %(limit)s))
"""


def end_session(connection: Connection, id: str, until: float) -> None:
    """End a session; `until`: when it would have ended by itself, in seconds since 1970."""
    connection.execute(_END, {"id": id, "until": until})


def forget_sessions(connection: Connection, *, limit: int) -> int:
    """Delete what would have ended by now, and return how many that were."""
    return connection.execute(_FORGET, {"limit": limit}).rowcount
