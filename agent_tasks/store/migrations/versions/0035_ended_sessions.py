"""Sessions of the console that were ended before their time: whoever has a copy of one cannot use it any more."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    op.create_table(
        "ended_sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="ended_sessions_pkey"),
        schema="agent_tasks",
    )
    op.create_index("ended_sessions_expires_at", "ended_sessions", ["expires_at"], schema="agent_tasks")


def downgrade() -> None:
    op.drop_table("ended_sessions", schema="agent_tasks")
