"""Deliveries of all tenants, the newest first, are found by an index."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_index("deliveries_made", "deliveries", ["created_at", "id"])


def downgrade() -> None:
    op.drop_index("deliveries_made", "deliveries")
