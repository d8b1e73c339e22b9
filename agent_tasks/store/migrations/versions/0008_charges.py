"""Charges come back to a repeated step in the order in which it first saw them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("charges", sa.Column("branch", sa.Text(), nullable=False, server_default=""))
    op.alter_column("charges", "branch", server_default=None)
    op.add_column("charges", sa.Column("ended", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("charges", "ended")
    op.drop_column("charges", "branch")
