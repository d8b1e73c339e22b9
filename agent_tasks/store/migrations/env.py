"""What Alembic runs: the migrations, on the connection that `upgrade` made."""

from alembic import context

from agent_tasks.store.migrations.namespace import SCHEMA, VERSION_TABLE
from agent_tasks.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    version_table_schema=SCHEMA,
)
with context.begin_transaction():
    context.run_migrations()
