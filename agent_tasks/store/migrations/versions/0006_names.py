"""Names of schedules are told apart by tenant; a signal may name the wait that it answers, and keeps its receipt."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("schedules", sa.Column("tenant", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.execute("UPDATE schedules SET tenant = coalesce(options -> 'identity' ->> 'tenant', '')")
    op.drop_constraint("schedules_pkey", "schedules")
    op.create_primary_key("schedules_pkey", "schedules", ["tenant", "name"])
    op.add_column("signals", sa.Column("wait_id", sa.Text(), nullable=True))
    op.add_column("signals", sa.Column("receipt", postgresql.JSONB(astext_type=sa.Text()), nullable=True))


def downgrade() -> None:
    op.drop_column("signals", "receipt")
    op.drop_column("signals", "wait_id")
    op.drop_constraint("schedules_pkey", "schedules")
    op.create_primary_key("schedules_pkey", "schedules", ["name"])
    op.drop_column("schedules", "tenant")
