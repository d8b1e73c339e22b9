"""The waits of straight-line steps: what each is for, and which of them took a signal."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("calls", sa.Column("wait", postgresql.JSONB()))
    op.add_column("signals", sa.Column("consumed_call", sa.Integer()))


def downgrade() -> None:
    op.drop_column("signals", "consumed_call")
    op.drop_column("calls", "wait")
