"""No arrow: the planner's statistics, kept near the size that the tables have."""

from psycopg import sql

from agent_tasks.store.database import Connection

TABLES = ("tasks", "checkpoints", "calls", "events", "signals", "charges", "idempotency_keys")

# A plan is kept until its tables are analyzed. Autovacuum comes once a minute, when a burst may be over. Who may
# not analyze a table is not asked to; for the first ten pages the planner takes an empty table anyway.
_GROWN = """
    SELECT relname AS name FROM pg_class
    WHERE relnamespace = to_regnamespace('agent_tasks') AND relname = ANY (%s)
        AND (pg_has_role(relowner, 'USAGE') OR CASE WHEN current_setting('server_version_num')::int >= 170000
            THEN has_table_privilege(oid, 'MAINTAIN') ELSE false END)
        AND pg_relation_size(oid) > 2 * greatest(relpages, 10) * current_setting('block_size')::bigint
"""
_ANALYZE = sql.SQL("ANALYZE (SKIP_LOCKED) agent_tasks.{}")


def analyze_grown(connection: Connection) -> list[str]:
    """Analyze the tables that have doubled since they were analyzed; returns their names."""
    grown = [row["name"] for row in connection.execute(_GROWN, [list(TABLES)], prepare=False).fetchall()]
    for table in grown:
        connection.execute(_ANALYZE.format(sql.Identifier(table)), prepare=False)
    return grown
