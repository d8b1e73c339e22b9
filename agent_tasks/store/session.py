"""The session of a connection: its settings, and what the server knows of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import DictRow

# The first three are what a pooler in transaction mode keeps for each of its clients: they reach no other's statements.
_BEGIN = """
    SELECT set_config('DateStyle', 'ISO, MDY', false), set_config('TimeZone', 'UTC', false),
        set_config('standard_conforming_strings', 'on', false), pg_backend_pid() AS pid,
        (SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_isolation') AS isolation
"""
READ_COMMITTED = "read committed"
_ISOLATION = f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {READ_COMMITTED}"

FROZEN_SECONDS = 15.0
"""How long a transaction of ours may stand still, and hold the rows that it has locked: its process is stopped."""
_FROZEN = """
    SELECT set_config(name, %(limit)s, false) FROM pg_settings
    WHERE name = 'idle_in_transaction_session_timeout' AND setting::int NOT BETWEEN 1 AND %(limit)s::int
"""

_WORKING = """
    SELECT pid FROM pg_stat_activity
    WHERE pid = ANY(%s) AND (state = 'active' OR state_change > clock_timestamp() - interval '3 s')
"""


@dataclass(frozen=True)
class Session:
    is_pooled: bool
    """Whether a pooler stands between: another session may serve the next transaction, and others this one."""
    isolation: str
    """The isolation of a transaction that asks for none."""


def begin(connection: "psycopg.Connection[DictRow]") -> Session:
    """Set what results depend on, whatever the server, the database or the role have as their defaults."""
    row: Any = connection.execute(_BEGIN).fetchone()
    # A pooler makes up the number of the process that it tells its clients
    session = Session(row["pid"] != connection.info.backend_pid, row["isolation"])
    if not session.is_pooled:
        connection.execute(_FROZEN, {"limit": str(round(FROZEN_SECONDS * 1000))})
        if session.isolation != READ_COMMITTED:
            connection.execute(_ISOLATION)
    return session


def working(connection: "psycopg.Connection[DictRow]", pids: Sequence[int]) -> set[int]:
    """The server processes among these that work at a statement, or did until a moment ago."""
    return {row["pid"] for row in connection.execute(_WORKING, [list(pids)])}
