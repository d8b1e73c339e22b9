"""A clock for one database: its own `clock_timestamp` and `statement_timestamp`, found before those of Postgres.

All statements of ours name these two functions without a schema, so that each of them, and each default of a column,
reads the moved clock; none is changed for it. `now()` and `CURRENT_TIMESTAMP` are not moved, and are used by none.
"""

from datetime import datetime, timedelta
from typing import Any, LiteralString, TypedDict, cast

from agent_tasks.store.database import Connection
from agent_tasks.testing.sweeps import Kind

SCHEMA: LiteralString = "agent_tasks_clock"

_MAKE: LiteralString = f"""
    CREATE SCHEMA {SCHEMA};
    CREATE TABLE {SCHEMA}.moved (ahead interval NOT NULL);
    INSERT INTO {SCHEMA}.moved VALUES ('0');
    CREATE FUNCTION {SCHEMA}.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
        'SELECT pg_catalog.clock_timestamp() + ahead FROM {SCHEMA}.moved';
    CREATE FUNCTION {SCHEMA}.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE AS
        'SELECT pg_catalog.statement_timestamp() + ahead FROM {SCHEMA}.moved';
    DO $defaults$
    DECLARE
        held record;
    BEGIN
        FOR held IN
            SELECT format('%I.%I', nspname, relname) AS held_by, quote_ident(attname) AS name
            FROM pg_attrdef JOIN pg_class ON pg_class.oid = adrelid
                JOIN pg_namespace ON pg_namespace.oid = relnamespace
                JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
            WHERE nspname = 'agent_tasks' AND pg_get_expr(adbin, adrelid) = 'clock_timestamp()'
        LOOP
            EXECUTE format('ALTER TABLE %s ALTER %s SET DEFAULT {SCHEMA}.clock_timestamp()', held.held_by, held.name);
        END LOOP;
    END $defaults$;
"""

# What is due already is seen to first, where the clock stands.
_NEXT: LiteralString = f"""
    WITH due AS (
        (SELECT due_at AS at, CASE WHEN waiting_for ->> 'kind' = 'children' THEN 'children' ELSE 'timers' END AS kind
        FROM agent_tasks.tasks WHERE status = 'waiting' AND finished_at IS NULL AND due_at IS NOT NULL
        ORDER BY due_at LIMIT 1)
        UNION ALL
        (SELECT next_at, 'schedules' FROM agent_tasks.schedules WHERE next_at IS NOT NULL ORDER BY next_at LIMIT 1)
        UNION ALL
        (SELECT %(until)s::timestamptz, NULL)
        ORDER BY at LIMIT 1
    )
    UPDATE {SCHEMA}.moved SET ahead = greatest(ahead, make_interval(
        secs => extract(epoch FROM due.at - pg_catalog.clock_timestamp())::float8))
    FROM due
    RETURNING due.kind, ahead
"""


class NextRow(TypedDict):
    """The clock as it was moved."""

    kind: Kind | None
    """What is due there; None where it is only the time to which it was to be moved."""
    ahead: timedelta


def make(connection: Connection) -> None:
    """Make the clock of the database that is connected to, where there is none; it goes right."""
    if connection.execute("SELECT to_regnamespace(%s) IS NULL", [SCHEMA]).fetchone() == (True,):
        connection.execute(_MAKE)


def use(connection: Connection, database: str) -> None:
    """Have all who connect to this database from now on read its clock; what a test writes need not be on disk."""
    name = cast(LiteralString, database.replace('"', '""'))
    connection.execute(f'ALTER DATABASE "{name}" SET search_path = {SCHEMA}, pg_catalog, "$user", public')
    connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')


def reset(connection: Connection) -> None:
    """Set the clock right."""
    connection.execute(f"UPDATE {SCHEMA}.moved SET ahead = '0'")


def read(connection: Connection) -> datetime:
    """What the clock shows."""
    row: Any = connection.execute("SELECT clock_timestamp() AS now").fetchone()
    return row["now"]


def move_to_next(connection: Connection, until: datetime) -> NextRow:
    """Move the clock to when the next timer or schedule is due, but not past `until`."""
    row: NextRow | None = connection.execute(_NEXT, {"until": until}).fetchone()
    assert row is not None
    return row
