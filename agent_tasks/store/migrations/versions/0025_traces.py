"""Traces: the span that a task's own is below, the wait that a step has behind it, and the span that sent a signal."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("parent_span", sa.Text()))
    op.add_column("tasks", sa.Column("waited", JSONB()))
    op.add_column("signals", sa.Column("traceparent", sa.Text()))


def downgrade() -> None:
    op.drop_column("signals", "traceparent")
    op.drop_column("tasks", "waited")
    op.drop_column("tasks", "parent_span")
