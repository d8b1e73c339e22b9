"""Workers tell what arguments their steps take, and a step may be given back to those that take others."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("refused", JSONB()))
    op.add_column("workers", sa.Column("signatures", sa.ARRAY(sa.Text())))


def downgrade() -> None:
    op.drop_column("workers", "signatures")
    op.drop_column("tasks", "refused")
