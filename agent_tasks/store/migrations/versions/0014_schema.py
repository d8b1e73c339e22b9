"""The guards name the schema of the tables they look into: they run under the search path of whoever writes."""

from alembic import op

revision = "0014"
down_revision = "0013"

_GUARDS = ("agent_tasks_only_acknowledge()", "agent_tasks_only_purge()")


def upgrade() -> None:
    _replace(" FROM tasks ", " FROM agent_tasks.tasks ")


def downgrade() -> None:
    _replace(" FROM agent_tasks.tasks ", " FROM tasks ")


def _replace(old: str, new: str) -> None:
    cursor = op.get_bind().connection.cursor()
    for guard in _GUARDS:
        cursor.execute("SELECT pg_get_functiondef(%s::regprocedure)", [guard])
        (defined,) = cursor.fetchall()[0]
        assert old in defined, f"{guard} looks into no table"
        cursor.execute(defined.replace(old, new))
