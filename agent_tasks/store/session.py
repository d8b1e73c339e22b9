"""The session of a connection: its settings, and what the server knows of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import DictRow

FROZEN_SECONDS = 15.0
"""How long a transaction of ours may stand still, and hold the rows that it has locked: its process is stopped."""

# A pooler makes up the number of the process that it tells its clients. The first three are what one in transaction
# mode keeps for each of its clients: they reach no other's statements. The last would: it is for a session of our own.
_BEGIN = """
    SELECT set_config('DateStyle', 'ISO, MDY', false), set_config('TimeZone', 'UTC', false),
        set_config('standard_conforming_strings', 'on', false), pg_backend_pid() <> %(pid)s AS is_pooled,
        (SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_isolation') AS isolation,
        (SELECT set_config(name, %(frozen)s, false) FROM pg_settings
            WHERE name = 'idle_in_transaction_session_timeout' AND setting::int NOT BETWEEN 1 AND %(frozen)s::int
            AND pg_backend_pid() = %(pid)s)
"""
READ_COMMITTED = "read committed"
_ISOLATION = f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {READ_COMMITTED}"

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
    values = {"pid": connection.info.backend_pid, "frozen": str(round(FROZEN_SECONDS * 1000))}
    row: Any = connection.execute(_BEGIN, values).fetchone()
    session = Session(row["is_pooled"], row["isolation"])
    if session.isolation != READ_COMMITTED and not session.is_pooled:
        connection.execute(_ISOLATION)
    return session


def working(connection: "psycopg.Connection[DictRow]", pids: Sequence[int]) -> set[int]:
    """The server processes among these that work at a statement, or did until a moment ago."""
    return {row["pid"] for row in connection.execute(_WORKING, [list(pids)])}
