"""The URLs of hooks that steps have made, and which task made each: its continuations are spoken to as well."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "hooks",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("step_number", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["agent_tasks.tasks.id"], name=op.f("hooks_task_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", "step_number", "fingerprint", name=op.f("hooks_pkey")),
    )
    op.create_index("hooks_made", "hooks", ["made_by", "step_number"])


def downgrade() -> None:
    op.drop_table("hooks")
