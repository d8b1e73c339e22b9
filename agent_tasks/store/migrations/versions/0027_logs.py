"""The log records of steps, kept with their tasks where a deployment wants it."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
_S = "agent_tasks"


def upgrade() -> None:
    op.create_table(
        "logs",
        sa.Column("task_id", sa.Uuid(), sa.ForeignKey(f"{_S}.tasks.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("logger", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("step_number", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        schema=_S,
    )


def downgrade() -> None:
    op.drop_table("logs", schema=_S)
