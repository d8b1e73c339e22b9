"""Keys of the gateway, the audit of writes, and indexes by which tasks are listed for an identity."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"

_TIME = sa.TIMESTAMP(timezone=True)
_NOW = sa.text("clock_timestamp()")
_NOBODY = sa.text("''")
_OWNED = "identity IS NOT NULL"


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), server_default=_NOBODY, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("expires_at", _TIME),
        sa.Column("last_used_at", _TIME),
        sa.Column("revoked_at", _TIME),
        sa.PrimaryKeyConstraint("id", name=op.f("api_keys_pkey")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("tenant", sa.Text(), server_default=_NOBODY, nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("key_id", sa.Text()),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Uuid()),
        sa.Column("target", sa.Text()),
        sa.Column("data", JSONB()),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_pkey")),
    )
    op.create_index("audit_tenant", "audit", ["tenant", "id"])
    op.create_index("audit_task", "audit", ["task_id"], postgresql_where=sa.text("task_id IS NOT NULL"))
    op.create_index("audit_at", "audit", ["at"])
    op.create_index("tasks_tenant", "tasks", ["tenant", "id"], postgresql_where=sa.text(_OWNED))
    op.create_index(
        "tasks_subject",
        "tasks",
        ["tenant", sa.text("(identity ->> 'subject')"), "id"],
        postgresql_where=sa.text(_OWNED),
    )
    op.create_index("tasks_open", "tasks", ["tenant"], postgresql_where=sa.text(f"{_OWNED} AND finished_at IS NULL"))
    op.create_index(
        "tasks_session",
        "tasks",
        [sa.text('"left"(session_id, 256)'), "id"],  # one may be longer than an index takes
        postgresql_where=sa.text("session_id IS NOT NULL"),
    )


def downgrade() -> None:
    for name in ("tasks_session", "tasks_open", "tasks_subject", "tasks_tenant"):
        op.drop_index(name, "tasks")
    op.drop_table("audit")
    op.drop_table("api_keys")
