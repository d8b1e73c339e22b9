"""Tasks, their history, and what the database refuses."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from agent_tasks.store.migrations.verbatim import run

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "agents",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("definition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("seen_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("agents_pkey")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", "key", name=op.f("idempotency_keys_pkey")),
    )
    op.create_index(op.f("idempotency_keys_expires_at"), "idempotency_keys", ["expires_at"], unique=False)
    op.create_index(op.f("idempotency_keys_task_id"), "idempotency_keys", ["task_id"], unique=False)
    op.create_table(
        "schedules",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("input", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("options", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("cron", sa.Text(), nullable=True),
        sa.Column("every_seconds", sa.Double(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("next_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("last_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("last_task_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("(cron IS NULL) <> (every_seconds IS NULL)", name=op.f("schedules_rhythm")),
        sa.PrimaryKeyConstraint("name", name=op.f("schedules_pkey")),
    )
    op.create_index(op.f("schedules_next_at"), "schedules", ["next_at"], unique=False)
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("secrets_pkey")),
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("step_number", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), server_default=sa.text("5"), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("root_id", sa.Uuid(), nullable=False),
        sa.Column("lineage_id", sa.Uuid(), nullable=False),
        sa.Column("resumed_from", sa.Uuid(), nullable=True),
        sa.Column("depth", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("parent_step", sa.Integer(), nullable=True),
        sa.Column("child_index", sa.Integer(), nullable=True),
        sa.Column("children_left", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("on_child_failure", sa.Text(), nullable=True),
        sa.Column("tenant", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("identity", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("callback_url", sa.Text(), nullable=True),
        sa.Column("sensitive", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("ttl_seconds", sa.Double(), nullable=False),
        sa.Column("input", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("traceback", sa.Text(), nullable=True),
        sa.Column("partial", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("progress", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("waiting_for", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("budget_seconds", sa.Double(), nullable=True),
        sa.Column("budget_tokens", sa.BigInteger(), nullable=True),
        sa.Column("budget_usd", sa.Numeric(), nullable=True),
        sa.Column("budget_steps", sa.Integer(), nullable=True),
        sa.Column("budget_calls", sa.Integer(), nullable=True),
        sa.Column("spent_seconds", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("spent_tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("spent_usd", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("spent_steps", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("spent_calls", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("reserved_tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reserved_usd", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("reserved_steps", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("reserved_calls", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("run", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("crashes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rings", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("undoable", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("undo_step", sa.Integer(), nullable=True),
        sa.Column("ending", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("due_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("event_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "pending_since", sa.TIMESTAMP(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=True
        ),
        sa.Column("started_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("claimed_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("finished_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("(status = 'waiting') = (waiting_for IS NOT NULL)", name=op.f("tasks_waiting")),
        sa.CheckConstraint(
            "(status IN ('cancelled', 'completed', 'failed', 'partial', 'timeout')) = (finished_at IS NOT NULL)",
            name=op.f("tasks_finished"),
        ),
        sa.CheckConstraint(
            "(status IN ('failed', 'cancelled', 'timeout', 'partial')) <= (error IS NOT NULL)", name=op.f("tasks_error")
        ),
        sa.CheckConstraint("status <> 'completed' OR error IS NULL", name=op.f("tasks_completed")),
        sa.CheckConstraint("status <> 'pending' OR due_at IS NOT NULL", name=op.f("tasks_pending")),
        sa.CheckConstraint(
            "status <> 'running' OR (worker IS NOT NULL AND due_at IS NOT NULL)", name=op.f("tasks_running")
        ),
        sa.CheckConstraint(
            "status IN ('cancelled', 'completed', 'failed', 'partial', 'pending', 'running', 'timeout', 'waiting')",
            name=op.f("tasks_status"),
        ),
        sa.CheckConstraint(
            "(ending IS NULL) = (undo_step IS NULL) OR finished_at IS NOT NULL", name=op.f("tasks_undoing")
        ),
        sa.CheckConstraint("(parent_id IS NULL) = (parent_step IS NULL)", name=op.f("tasks_child")),
        sa.CheckConstraint("acknowledged_at IS NULL OR finished_at IS NOT NULL", name=op.f("tasks_acknowledged")),
        sa.CheckConstraint("children_left >= 0", name=op.f("tasks_children_left")),
        sa.CheckConstraint(
            "reserved_tokens >= 0 AND reserved_usd >= 0 AND reserved_steps >= 0 AND reserved_calls >= 0",
            name=op.f("tasks_reserved"),
        ),
        sa.CheckConstraint("spent_seconds >= 0", name=op.f("tasks_spent")),
        sa.PrimaryKeyConstraint("id", name=op.f("tasks_pkey")),
    )
    op.execute("ALTER TABLE tasks SET (fillfactor = 70)")  # as an argument of the table only SQLAlchemy 2.1 knows it
    op.create_index(
        "tasks_due", "tasks", ["status", "due_at"], unique=False, postgresql_where=sa.text("due_at IS NOT NULL")
    )
    op.create_index(
        "tasks_finished", "tasks", ["finished_at"], unique=False, postgresql_where=sa.text("finished_at IS NOT NULL")
    )
    op.create_index(
        "tasks_parent",
        "tasks",
        ["parent_id", "parent_step", "child_index"],
        unique=False,
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )
    op.create_index(
        "tasks_resumed", "tasks", ["resumed_from"], unique=False, postgresql_where=sa.text("resumed_from IS NOT NULL")
    )
    op.create_index("tasks_root", "tasks", ["root_id"], unique=False)
    op.create_index(
        "tasks_usage", "tasks", ["agent", "finished_at"], unique=False, postgresql_where=sa.text("status = 'completed'")
    )
    op.create_table(
        "watches",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("last_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("watches_pkey")),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("hostname", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("queues", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("steps", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "started_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("seen_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("stopped_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("workers_pkey")),
    )
    op.create_table(
        "calls",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("step_number", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("at_most_once", sa.Boolean(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("outcome", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "started_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("finished_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("(status = 'started') = (finished_at IS NULL)", name=op.f("calls_finished")),
        sa.CheckConstraint("status IN ('started', 'completed', 'failed')", name=op.f("calls_status")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("calls_task_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "step_number", "ordinal", name=op.f("calls_pkey")),
    )
    op.create_table(
        "checkpoints",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("step_number", sa.Integer(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("next_step", sa.Text(), nullable=True),
        sa.Column("state", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("awaits", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("undo", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.REAL(), nullable=False),
        sa.Column(
            "committed_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("checkpoints_task_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "step_number", name=op.f("checkpoints_pkey")),
    )
    op.create_table(
        "events",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("at", sa.TIMESTAMP(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("events_task_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "seq", name=op.f("events_pkey")),
    )
    op.create_table(
        "signals",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("signal_id", sa.Text(), nullable=True),
        sa.Column("sender", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("sent_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("consumed_step", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("signals_task_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq", name=op.f("signals_pkey")),
    )
    op.create_index("signals_inbox", "signals", ["task_id", "name"], unique=False)
    op.create_index(
        "signals_once",
        "signals",
        ["task_id", "signal_id"],
        unique=True,
        postgresql_where=sa.text("signal_id IS NOT NULL"),
    )
    guards = Path(__file__).with_name("0001_guards.sql").read_text()
    run(guards)


def downgrade() -> None:
    op.drop_index("signals_once", table_name="signals", postgresql_where=sa.text("signal_id IS NOT NULL"))
    op.drop_index("signals_inbox", table_name="signals")
    op.drop_table("signals")
    op.drop_table("events")
    op.drop_table("checkpoints")
    op.drop_table("calls")
    op.drop_table("workers")
    op.drop_table("watches")
    op.drop_index("tasks_usage", table_name="tasks", postgresql_where=sa.text("status = 'completed'"))
    op.drop_index("tasks_root", table_name="tasks")
    op.drop_index("tasks_resumed", table_name="tasks", postgresql_where=sa.text("resumed_from IS NOT NULL"))
    op.drop_index("tasks_parent", table_name="tasks", postgresql_where=sa.text("parent_id IS NOT NULL"))
    op.drop_index("tasks_finished", table_name="tasks", postgresql_where=sa.text("finished_at IS NOT NULL"))
    op.drop_index("tasks_due", table_name="tasks", postgresql_where=sa.text("due_at IS NOT NULL"))
    op.drop_table("tasks")
    op.drop_table("secrets")
    op.drop_index(op.f("schedules_next_at"), table_name="schedules")
    op.drop_table("schedules")
    op.drop_index(op.f("idempotency_keys_task_id"), table_name="idempotency_keys")
    op.drop_index(op.f("idempotency_keys_expires_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_table("agents")
    op.execute("DROP FUNCTION agent_tasks_refuse, agent_tasks_only_acknowledge")
