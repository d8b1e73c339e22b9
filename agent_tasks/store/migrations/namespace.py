"""The schema that holds all tables, and the move of a 0.1.0 database into it."""

from sqlalchemy import Connection, text

from agent_tasks.store.tables import SCHEMA

VERSION_TABLE = "agent_tasks_version"

_IS_THERE = text("SELECT to_regclass(:name) IS NOT NULL")

# 0.1.0 kept its tables where the search path pointed, beside those of the application, and so did its functions.
_OLD_PLACE = text("""
    SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = to_regclass(:version_table)
""")
_OLD_TABLES = (
    "agents", "calls", "checkpoints", "events", "idempotency_keys", "schedules", "secrets", "signals", "tasks",
    "watches", "workers", VERSION_TABLE,
)  # fmt: skip
_TABLES_SINCE = {"charges": "0008"}
"""Tables that a database migrated between the releases may have, and the revision that made each."""
_OLD_FUNCTIONS = ("agent_tasks_refuse()", "agent_tasks_only_acknowledge()")
_FUNCTIONS_SINCE = {"agent_tasks_only_purge()": "0009"}


def version_table(connection: Connection) -> str | None:
    """The qualified name of the table that says at which revision the database is; None before the first one."""
    for name in (f"{SCHEMA}.{VERSION_TABLE}", VERSION_TABLE):
        if connection.execute(_IS_THERE, {"name": name}).scalar():
            return name
    return None


def enter(connection: Connection) -> None:
    """Make the schema, move a database of 0.1.0 into it, and let the migrations of this transaction run there.

    Indexes, constraints, sequences and triggers go with their tables; no row is copied.
    """
    old = version_table(connection)
    if connection.execute(text("SELECT to_regnamespace(:schema) IS NULL"), {"schema": SCHEMA}).scalar():
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))  # not IF NOT EXISTS: that asks for the right, either way
    if old == VERSION_TABLE:
        place = connection.execute(_OLD_PLACE, {"version_table": VERSION_TABLE}).scalar_one()
        revision = connection.execute(text(f"SELECT version_num FROM {place}.{VERSION_TABLE}")).scalar_one()
        for table in (*_OLD_TABLES, *(name for name, since in _TABLES_SINCE.items() if revision >= since)):
            connection.execute(text(f"ALTER TABLE {place}.{table} SET SCHEMA {SCHEMA}"))
        for function in (*_OLD_FUNCTIONS, *(name for name, since in _FUNCTIONS_SINCE.items() if revision >= since)):
            connection.execute(text(f"ALTER FUNCTION {place}.{function} SET SCHEMA {SCHEMA}"))
    connection.execute(text(f"SET LOCAL search_path TO {SCHEMA}"))
