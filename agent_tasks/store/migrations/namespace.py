"""The schema that holds all tables, and the move of a 0.1.0 database into it."""

from sqlalchemy import Connection, text

from agent_tasks.store.tables import SCHEMA

VERSION_TABLE = "agent_tasks_version"

_IS_THERE = text("SELECT to_regclass(:name) IS NOT NULL")
_FOREIGN = text(f"""
    SELECT relname FROM pg_class
    WHERE relnamespace = to_regnamespace('{SCHEMA}') AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        AND NOT EXISTS (SELECT FROM pg_class AS ours
            WHERE ours.relnamespace = pg_class.relnamespace AND ours.relname = '{VERSION_TABLE}')
    ORDER BY relname LIMIT 4
""")

# 0.1.0 kept its tables where the search path pointed, beside those of the application, and so did its functions. Since
# 0008 a database that was migrated between the releases has `charges`, too, and since 0009 one more function. Indexes,
# constraints, sequences and triggers go with their tables; no row is copied. The schema is not made IF NOT EXISTS: that
# asks for the right, either way. What a script is run on cannot be looked at before: so here is looked again.
_ENTER = """
DO $enter$
DECLARE
    place text := (SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE pg_class.oid = to_regclass('agent_tasks_version'));
    found text;
    moved text;
BEGIN
    IF to_regnamespace('agent_tasks') IS NULL THEN
        CREATE SCHEMA agent_tasks;
    END IF;
    IF to_regclass('agent_tasks.agent_tasks_version') IS NOT NULL THEN
        EXECUTE 'SELECT version_num FROM agent_tasks.agent_tasks_version' INTO found;
    ELSIF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'agent_tasks'::regnamespace
            AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')) THEN
        RAISE EXCEPTION 'the schema agent_tasks has tables that are not of agent-tasks: rename it';
    ELSIF place IS NOT NULL THEN
        EXECUTE format('SELECT version_num FROM %s.agent_tasks_version', place) INTO found;
        FOREACH moved IN ARRAY ARRAY['agents', 'calls', 'checkpoints', 'events', 'idempotency_keys', 'schedules',
            'secrets', 'signals', 'tasks', 'watches', 'workers', 'charges', 'agent_tasks_version']
        LOOP
            IF moved <> 'charges' OR found >= '0008' THEN
                EXECUTE format('ALTER TABLE %s.%s SET SCHEMA agent_tasks', place, moved);
            END IF;
        END LOOP;
        FOREACH moved IN ARRAY ARRAY['agent_tasks_refuse()', 'agent_tasks_only_acknowledge()',
            'agent_tasks_only_purge()']
        LOOP
            IF moved <> 'agent_tasks_only_purge()' OR found >= '0009' THEN
                EXECUTE format('ALTER FUNCTION %s.%s SET SCHEMA agent_tasks', place, moved);
            END IF;
        END LOOP;
    END IF;
    {check}
END $enter$
"""
_IS_AT = """IF found IS DISTINCT FROM {revision} THEN
        RAISE EXCEPTION 'the database is at revision %, not {named}: print the script anew, with --from %',
            coalesce(found, 'none'), coalesce(found, 'base');
    END IF;"""


def version_table(connection: Connection) -> str | None:
    """The qualified name of the table that says at which revision the database is; None before the first one."""
    for name in (f"{SCHEMA}.{VERSION_TABLE}", VERSION_TABLE):
        if connection.execute(_IS_THERE, {"name": name}).scalar():
            return name
    return None


def foreign_tables(connection: Connection) -> list[str]:
    """The first tables of a schema of our name that is not ours; none where there is no such schema, or it is empty."""
    return list(connection.execute(_FOREIGN).scalars())


def entering() -> list[str]:
    """The statements that make the schema, move a database of 0.1.0 into it, and have those that follow run there.

    The time-outs of the role do not hold for them: a table may be rewritten.
    """
    return [*_UNHURRIED, _ENTER.format(check=""), _SEARCH]


def entering_from(revision: str | None) -> list[str]:
    """As `entering`, for a script: it fails on a database that is not at this revision. None: before the first one."""
    check = _IS_AT.format(revision="NULL" if revision is None else f"'{revision}'", named=revision or "none")
    return [*_UNHURRIED, _ENTER.format(check=check), _SEARCH]


_UNHURRIED = ["SET LOCAL statement_timeout = 0", "SET LOCAL idle_in_transaction_session_timeout = 0"]
_SEARCH = f"SET LOCAL search_path TO {SCHEMA}"
