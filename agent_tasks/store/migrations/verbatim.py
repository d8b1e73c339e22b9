"""Statements of migrations that reach Postgres exactly as they are written: `%` and `:` in them are no parameters."""

from alembic import op


def run(sql: str) -> None:
    """Execute the statements, or add them to the script that `migrate --sql` prints."""
    context = op.get_context()
    if context.as_sql:
        context.impl.static_output(f"{sql.strip().rstrip(';')};")
    else:
        op.get_bind().connection.cursor().execute(sql)
