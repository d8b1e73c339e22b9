"""Processes tell by fingerprints which keys they sign and verify with."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for table in ("workers", "watches"):
        op.add_column(table, sa.Column("keys", sa.ARRAY(sa.Text()), nullable=True))


def downgrade() -> None:
    for table in ("workers", "watches"):
        op.drop_column(table, "keys")
