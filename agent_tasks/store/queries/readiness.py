"""What keeps this release from working with the database: its tables, or what its user may do with them."""

from dataclasses import dataclass
from typing import Any

from agent_tasks.store.database import Connection

_VERSION_TABLE = "agent_tasks_version"
_MIGRATE = "run `agent-tasks migrate`"

# By number, since names are not looked up in a schema that the user may not use
_LOOK = """
    SELECT current_user AS role, oid AS schema, has_schema_privilege(oid, 'USAGE') AS may_use,
        (SELECT array_agg(relname::text ORDER BY relname) FROM pg_class
            WHERE relnamespace = pg_namespace.oid AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')) AS tables,
        (SELECT array_agg(lacks ORDER BY lacks) FROM (
            SELECT concat(relname, ' (', string_agg(needed, ', ' ORDER BY needed), ')') AS lacks
            FROM pg_class, unnest(CASE relname WHEN 'agent_tasks_version' THEN '{SELECT}'::text[]
                ELSE '{SELECT,INSERT,UPDATE,DELETE}' END) AS needed
            WHERE relnamespace = pg_namespace.oid AND relkind = 'r' AND NOT has_table_privilege(pg_class.oid, needed)
            GROUP BY relname) AS each) AS lacking
    FROM pg_namespace WHERE nspname = 'agent_tasks'
"""
_VERSION = "SELECT version_num FROM agent_tasks.agent_tasks_version"
_LIMITS = """
    SELECT current_user AS role, name, setting::bigint AS milliseconds FROM pg_settings
    WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
        AND setting::bigint BETWEEN 1 AND %s
    ORDER BY name
"""
SHORTEST_SECONDS = 5
"""A time-out of Postgres below this ends statements of ours in ordinary work."""


@dataclass(frozen=True)
class Obstacle:
    """What was found, and what to do about it."""

    found: str
    to_do: str
    is_behind: bool = False
    """Whether it is only that migrations are missing."""


def obstacle(connection: Connection, revision: str) -> Obstacle | None:
    """What keeps a release from working that needs this revision, or a later one; None where nothing does."""
    row: Any = connection.execute(_LOOK).fetchone()
    if row is None or not row["tables"]:
        return Obstacle("the database is not migrated", _MIGRATE, is_behind=True)
    if _VERSION_TABLE not in row["tables"]:
        some = ", ".join(row["tables"][:3])
        return Obstacle(
            f"the schema agent_tasks of the database is not of agent-tasks: it holds {some}",
            "rename it, or take another database",
        )
    if not row["may_use"] or row["lacking"]:
        lacks = "USAGE of the schema agent_tasks" if not row["may_use"] else _some(row["lacking"])
        return Obstacle(
            f"the user {row['role']} of the database lacks {lacks}",
            f"have its owner run what `agent-tasks migrate --sql --from head --grant {row['role']}` prints",
        )
    at: Any = connection.execute(_VERSION).fetchone()
    if at is None or at["version_num"] < revision:
        found = "none" if at is None else at["version_num"]
        return Obstacle(f"the database is not migrated: it is at {found}, not {revision}", _MIGRATE, is_behind=True)
    return None


def short_limits(connection: Connection) -> list[Obstacle]:
    """The time-outs of this session, by its user or database, that are too short."""
    return [
        Obstacle(
            f"{row['name']} is {row['milliseconds']} ms for the user {row['role']}",
            f"raise it: ALTER ROLE {row['role']} SET {row['name']} = '30s'",
        )
        for row in connection.execute(_LIMITS, [SHORTEST_SECONDS * 1000 - 1])
    ]


def _some(lacking: list[str]) -> str:
    more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
    return "rights on " + ", ".join(lacking[:3]) + more
