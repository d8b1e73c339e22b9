"""Pauses of tasks, agents, queues and tenants, and by which of them the timer of a task was put off."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
_S = "agent_tasks"
_TIME = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "pauses",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text()),
        sa.Column("task_id", sa.Uuid(), sa.ForeignKey(f"{_S}.tasks.id", ondelete="CASCADE")),
        sa.Column("reason", sa.Text()),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("began_at", _TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("ended_at", _TIME),
        sa.Column("released_at", _TIME),
        sa.CheckConstraint("kind IN ('task', 'agent', 'queue', 'tenant')", name=op.f("pauses_kind")),
        sa.CheckConstraint("(kind = 'task') = (task_id IS NOT NULL)", name=op.f("pauses_task")),
        sa.CheckConstraint("ended_at >= began_at", name=op.f("pauses_ended")),
        sa.CheckConstraint("released_at IS NULL OR ended_at IS NOT NULL", name=op.f("pauses_released")),
        schema=_S,
    )
    op.create_index(
        "pauses_living", "pauses", ["target"], unique=True, postgresql_where=sa.text("ended_at IS NULL"), schema=_S
    )
    op.create_index("pauses_target", "pauses", ["target", "ended_at"], schema=_S)
    op.create_index("pauses_open", "pauses", ["id"], postgresql_where=sa.text("released_at IS NULL"), schema=_S)
    op.create_index("pauses_task", "pauses", ["task_id"], postgresql_where=sa.text("task_id IS NOT NULL"), schema=_S)
    op.add_column("tasks", sa.Column("put_off_by", sa.BigInteger()), schema=_S)
    op.create_index(
        "tasks_put_off",
        "tasks",
        ["put_off_by"],
        postgresql_where=sa.text("put_off_by IS NOT NULL AND finished_at IS NULL"),
        schema=_S,
    )


def downgrade() -> None:
    op.drop_column("tasks", "put_off_by", schema=_S)
    op.drop_table("pauses", schema=_S)
