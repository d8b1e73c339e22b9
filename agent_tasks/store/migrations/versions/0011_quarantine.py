"""Steps that ran when a process died are suspect, and tries may count for nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("suspect", sa.SmallInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column("tasks", sa.Column("uncounted", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.create_index(
        "tasks_suspect", "tasks", ["suspect"], postgresql_where=sa.text("suspect > 0 AND status = 'pending'")
    )


def downgrade() -> None:
    op.drop_index("tasks_suspect", "tasks")
    op.drop_column("tasks", "uncounted")
    op.drop_column("tasks", "suspect")
