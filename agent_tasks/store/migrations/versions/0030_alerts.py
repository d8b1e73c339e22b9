"""Alerts: rules that are looked at by the sweeps, how each stands, and the deliveries that have failed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0030"
down_revision = "0029"
_TIME = sa.TIMESTAMP(timezone=True)
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("tenant", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("everywhere", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("threshold", sa.DOUBLE_PRECISION(), nullable=False),
        sa.Column("window_seconds", sa.DOUBLE_PRECISION(), nullable=True),
        sa.Column("agent", sa.Text(), nullable=True),
        sa.Column("queue", sa.Text(), nullable=True),
        sa.Column("waits_for", sa.Text(), nullable=True),
        sa.Column("least", sa.Integer(), nullable=True),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'ok'"), nullable=False),
        sa.Column("since", _TIME, server_default=_NOW, nullable=False),
        sa.Column("value", sa.DOUBLE_PRECISION(), nullable=True),
        sa.Column("found", JSONB(), nullable=True),
        sa.Column("checked_at", _TIME, nullable=True),
        sa.Column("due_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("run", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("state IN ('ok', 'firing')", name=op.f("alerts_state")),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("alerts_pkey")),
    )
    op.create_index("alerts_due_at", "alerts", ["due_at"])
    op.create_index("deliveries_failed", "deliveries", ["ended_at"], postgresql_where=sa.text("status = 'failed'"))


def downgrade() -> None:
    op.drop_index("deliveries_failed", "deliveries")
    op.drop_table("alerts")
