"""The fan-outs of straight-line steps: which call spawned a child, and how many of its children are left."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("parent_call", sa.Integer()))
    op.add_column("calls", sa.Column("children_left", sa.Integer()))


def downgrade() -> None:
    op.drop_column("calls", "children_left")
    op.drop_column("tasks", "parent_call")
