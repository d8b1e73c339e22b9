"""Whether the operators or a tenant's people paused something: both may, and each ends its own."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
_S = "agent_tasks"
_LIVING = sa.text("ended_at IS NULL")


def upgrade() -> None:
    column = sa.Column("by_operators", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    op.add_column("pauses", column, schema=_S)
    op.execute(f"UPDATE {_S}.pauses SET by_operators = true WHERE tenant IS NULL")
    op.drop_index("pauses_living", "pauses", schema=_S)
    columns = ["target", "by_operators"]
    op.create_index("pauses_living", "pauses", columns, unique=True, postgresql_where=_LIVING, schema=_S)


def downgrade() -> None:
    """End what the operators have paused of what a tenant paused, too: only one pause of each may hold."""
    op.execute(f"""
        UPDATE {_S}.pauses SET ended_at = greatest(clock_timestamp(), began_at) WHERE by_operators AND ended_at IS NULL
            AND EXISTS (SELECT FROM {_S}.pauses AS other WHERE other.target = pauses.target
                AND other.ended_at IS NULL AND NOT other.by_operators)
    """)
    op.drop_index("pauses_living", "pauses", schema=_S)
    op.create_index("pauses_living", "pauses", ["target"], unique=True, postgresql_where=_LIVING, schema=_S)
    op.drop_column("pauses", "by_operators", schema=_S)
