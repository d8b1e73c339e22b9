"""Sessions of an AgentCore runtime, what they have started, jobs that keep them busy, and what its ping has said."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0018"
down_revision = "0017"

_TIME = sa.TIMESTAMP(timezone=True)
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "agentcore_sessions",
        *_of_runtime(),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("began_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("invoked_at", _TIME, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("agent", "tenant", "subject", "id", name=op.f("agentcore_sessions_pkey")),
    )
    op.create_index(op.f("agentcore_sessions_invoked_at"), "agentcore_sessions", ["invoked_at"])
    op.create_table(
        "agentcore_invocations",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        *_of_runtime(),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("read_at", _TIME),
        sa.PrimaryKeyConstraint("task_id", name=op.f("agentcore_invocations_pkey")),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["agent_tasks.tasks.id"],
            name=op.f("agentcore_invocations_task_id_fkey"),
            ondelete="CASCADE",
        ),
    )
    op.create_index("agentcore_invocations_session", "agentcore_invocations", ["session_id", "task_id"])
    op.create_table(
        "agentcore_jobs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("metadata", JSONB()),
        sa.Column("started_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("task_id", sa.Uuid()),
        sa.Column("step_number", sa.Integer()),
        sa.Column("run", sa.Integer()),
        sa.Column("tenant", sa.Text()),
        sa.Column("subject", sa.Text()),
        sa.Column("session_id", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("agentcore_jobs_pkey")),
    )
    op.create_index(op.f("agentcore_jobs_started_at"), "agentcore_jobs", ["started_at"])
    op.create_index(
        "agentcore_jobs_task", "agentcore_jobs", ["task_id"], postgresql_where=sa.text("task_id IS NOT NULL")
    )
    op.create_index(
        "agentcore_jobs_session",
        "agentcore_jobs",
        [sa.text('"left"(session_id, 256)')],
        postgresql_where=sa.text("session_id IS NOT NULL"),
    )
    op.create_table(
        "agentcore_pings",
        *_of_runtime(),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("since", _TIME, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("agent", "tenant", "subject", name=op.f("agentcore_pings_pkey")),
        sa.CheckConstraint("status IN ('Healthy', 'HealthyBusy')", name=op.f("agentcore_pings_status")),
    )


def downgrade() -> None:
    for name in ("agentcore_pings", "agentcore_jobs", "agentcore_invocations", "agentcore_sessions"):
        op.drop_table(name)


def _of_runtime() -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in ("agent", "tenant", "subject")]
