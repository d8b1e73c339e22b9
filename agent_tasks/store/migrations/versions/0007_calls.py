"""A call is known by its branch, name, digest and place, or by a key; charges are recorded as calls are."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"

_TIME = postgresql.TIMESTAMP(timezone=True)
_COLUMNS = (
    ("branch", sa.Text()),
    ("digest", sa.Text()),
    ("place", sa.Integer()),
    ("key", sa.Text()),
    ("begun", sa.Integer()),
    ("births", postgresql.ARRAY(sa.Integer())),
    ("ended", sa.Integer()),
    ("replay", sa.Text()),
)


def upgrade() -> None:
    for name, kind in _COLUMNS:
        op.add_column("calls", sa.Column(name, kind, nullable=True))
    op.drop_constraint(op.f("calls_status"), "calls", type_="check")
    op.create_check_constraint(
        op.f("calls_status"), "calls", "status IN ('started', 'completed', 'failed', 'cancelled')"
    )
    op.create_check_constraint(op.f("calls_replay"), "calls", "replay IN ('again', 'optional', 'tried')")
    op.create_table(
        "charges",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("step_number", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("usd", sa.Numeric(), nullable=False),
        sa.Column("spent_tokens", sa.BigInteger(), nullable=False),
        sa.Column("spent_usd", sa.Numeric(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("charged_at", _TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("charges_task_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "step_number", "fingerprint", name=op.f("charges_pkey")),
    )


def downgrade() -> None:
    op.drop_table("charges")
    op.drop_constraint(op.f("calls_replay"), "calls", type_="check")
    cancelled = '{"type": "CancelledError", "message": ""}'
    op.execute(f"UPDATE calls SET status = 'failed', outcome = '{cancelled}' WHERE status = 'cancelled'")
    op.drop_constraint(op.f("calls_status"), "calls", type_="check")
    op.create_check_constraint(op.f("calls_status"), "calls", "status IN ('started', 'completed', 'failed')")
    for name, _ in reversed(_COLUMNS):
        op.drop_column("calls", name)
