"""Operations on many tasks at once, and what pauses a schedule or says what becomes of its missed firings."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from agent_tasks.store.migrations.verbatim import run

revision = "0029"
down_revision = "0028"

_TIME = sa.TIMESTAMP(timezone=True)
_NOW = sa.text("clock_timestamp()")
_S = "agent_tasks"

# Of the system's own events, those that webhooks are not told of: the names of ctx.emit may be any.
_TOLD = """
CREATE OR REPLACE TRIGGER events_told AFTER INSERT ON agent_tasks.events FOR EACH ROW
    WHEN (NEW.type NOT IN ('dispatched', 'claimed', 'committed', 'charged', 'budget_low', 'partial', 'signalled',
            'signal_refused', 'spawned', 'joined', 'undoing', 'undone', 'not_undone', 'retried', 'released', 'expired'
            {more})
        AND (NEW.type <> 'waiting' OR NEW.data ->> 'kind' IN ('signal', 'timer')))
    EXECUTE FUNCTION agent_tasks_tell();
"""


def upgrade() -> None:
    op.create_table(
        "bulks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("filter", JSONB(), nullable=False),
        sa.Column("options", JSONB(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'running'"), nullable=False),
        sa.Column("tenant", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("identity", JSONB()),
        sa.Column("asked_by", JSONB()),
        sa.Column("most", sa.BigInteger()),
        sa.Column("after_id", sa.Uuid()),
        sa.Column("after_at", _TIME),
        *(
            sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)
            for name in ("matched", "done", "passed_over", "failed")
        ),
        sa.Column("problems", JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("audit_id", sa.BigInteger()),
        sa.Column("due_at", _TIME),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("finished_at", _TIME),
        sa.PrimaryKeyConstraint("id", name=op.f("bulks_pkey")),
        sa.CheckConstraint("status IN ('running', 'done', 'stopped', 'failed')", name=op.f("bulks_status")),
        sa.CheckConstraint("(status = 'running') = (finished_at IS NULL)", name=op.f("bulks_finished")),
        schema=_S,
    )
    op.create_index("bulks_due", "bulks", ["due_at"], postgresql_where=sa.text("finished_at IS NULL"), schema=_S)
    op.create_index(
        "bulks_ended", "bulks", ["finished_at"], postgresql_where=sa.text("finished_at IS NOT NULL"), schema=_S
    )
    for column in (
        sa.Column("catch_up", sa.Text(), server_default=sa.text("'one'"), nullable=False),
        sa.Column("paused_at", _TIME),
        sa.Column("paused_by", sa.Text()),
        sa.Column("paused_reason", sa.Text()),
    ):
        op.add_column("schedules", column, schema=_S)
    run(_TOLD.format(more=", 'moved', 'prioritised'"))


def downgrade() -> None:
    run(_TOLD.format(more=""))
    for column in ("catch_up", "paused_at", "paused_by", "paused_reason"):
        op.drop_column("schedules", column, schema=_S)
    op.drop_table("bulks", schema=_S)
