"""Idempotency keys of bulk operations: a request that is sent again is the operation that it began."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    op.add_column("bulks", sa.Column("idempotency_key", sa.Text()), schema="agent_tasks")
    op.add_column("bulks", sa.Column("request_digest", sa.LargeBinary()), schema="agent_tasks")
    op.create_index(
        "bulks_key",
        "bulks",
        [
            sa.text("coalesce(asked_by ->> 'tenant', '')"),
            sa.text("coalesce(asked_by ->> 'subject', '')"),
            "idempotency_key",
        ],
        unique=True,
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
        schema="agent_tasks",
    )


def downgrade() -> None:
    op.drop_index("bulks_key", "bulks", schema="agent_tasks")
    op.drop_column("bulks", "request_digest", schema="agent_tasks")
    op.drop_column("bulks", "idempotency_key", schema="agent_tasks")
