"""Retention by agent, and indexes by which each statement finds its rows."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("retention_seconds", sa.Double(), server_default=sa.text("0"), nullable=False))
    op.create_index("tasks_living", "tasks", ["status", "due_at"], postgresql_where=sa.text("finished_at IS NULL"))
    op.create_index(
        "tasks_ended", "tasks", ["status", "finished_at"], postgresql_where=sa.text("finished_at IS NOT NULL")
    )
    op.create_index(
        "tasks_retention",
        "tasks",
        ["retention_seconds", sa.text("(acknowledged_at IS NOT NULL)"), "finished_at", "id"],
        postgresql_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
    )
    op.drop_index("tasks_due", "tasks")
    op.drop_index("tasks_finished", "tasks")


def downgrade() -> None:
    op.create_index("tasks_finished", "tasks", ["finished_at"], postgresql_where=sa.text("finished_at IS NOT NULL"))
    op.create_index("tasks_due", "tasks", ["status", "due_at"], postgresql_where=sa.text("due_at IS NOT NULL"))
    for name in ("tasks_retention", "tasks_ended", "tasks_living"):
        op.drop_index(name, "tasks")
    op.drop_column("tasks", "retention_seconds")
