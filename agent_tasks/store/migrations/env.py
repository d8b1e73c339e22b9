"""What Alembic runs: the migrations, on the connection that `upgrade` made, or into the script of `script`."""

from typing import Any

from alembic import context

from agent_tasks.store.migrations.namespace import SCHEMA, VERSION_TABLE
from agent_tasks.store.tables import metadata

_PLACE: dict[str, Any] = {"target_metadata": metadata, "version_table": VERSION_TABLE, "version_table_schema": SCHEMA}

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", dialect_opts={"paramstyle": "named"}, **_PLACE)
else:
    context.configure(connection=context.config.attributes["connection"], **_PLACE)
with context.begin_transaction():
    for statement in context.config.attributes["before"]:
        context.execute(statement)
    context.run_migrations()
    for statement in context.config.attributes["after"]:
        context.execute(statement)
