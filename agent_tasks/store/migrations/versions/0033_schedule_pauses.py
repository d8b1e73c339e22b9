"""Whose pause of a schedule it is: the tenant's, or that of the operators, which no tenant ends."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0031"


def upgrade() -> None:
    op.add_column("schedules", sa.Column("paused_tenant", sa.Text()), schema="agent_tasks")


def downgrade() -> None:
    op.drop_column("schedules", "paused_tenant", schema="agent_tasks")
