"""What a role must be granted that runs everything but migrations."""

from agent_tasks.errors import InvalidInput
from agent_tasks.store.migrations.namespace import VERSION_TABLE
from agent_tasks.store.tables import SCHEMA, metadata

_LONGEST = 63
"""In bytes: Postgres cuts a longer name off."""

# Without it autovacuum alone keeps the planner's statistics; before PostgreSQL 17 only the owner of a table may do it.
_MAINTAIN = """
DO $maintain$
BEGIN
    IF current_setting('server_version_num')::int >= 170000 THEN
        GRANT MAINTAIN ON {tables} TO {role};
    END IF;
END $maintain$
"""


def granting(role: str) -> list[str]:
    """The statements that grant it. Raises InvalidInput for what is no name of a role."""
    if not role or "\0" in role or len(role.encode()) > _LONGEST:
        raise InvalidInput("--grant must be the name of a role.", field="grant")
    quoted = '"' + role.replace('"', '""') + '"'
    tables = ", ".join(sorted(str(table) for table in metadata.tables))
    return [
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO {quoted}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {quoted}",
        f"GRANT SELECT ON {SCHEMA}.{VERSION_TABLE} TO {quoted}",
        _MAINTAIN.format(tables=tables, role=quoted),
    ]
