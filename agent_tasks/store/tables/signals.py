"""Signals to tasks, and the hooks through which they come from outside."""

from sqlalchemy import BigInteger, Column, ForeignKey, Identity, Index, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from agent_tasks.store.tables.schema import NOW, SCHEMA, TIME, metadata, task_id

signals = Table(
    "signals",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("task_id", Uuid, ForeignKey(f"{SCHEMA}.tasks.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("payload", JSONB),
    Column("signal_id", Text),
    Column("sender", JSONB),
    Column("sent_at", TIME, nullable=False, server_default=NOW),
    Column("consumed_step", Integer),  # the step number that was handed the signal; null: in the inbox
    Column("consumed_call", Integer),  # and the ordinal of the wait in that step that took it; null: its argument
    Column("wait_id", Text),  # the one wait that it answers; null: any of its name
    Column("receipt", JSONB),  # as its sender got it
    Column("traceparent", Text),  # of the span that sent it
    Index("signals_inbox", "task_id", "name"),
    Index("signals_once", "task_id", "signal_id", unique=True, postgresql_where=text("signal_id IS NOT NULL")),
)

hooks = Table(
    "hooks",
    metadata,
    task_id(),
    Column("step_number", Integer, primary_key=True),
    Column("fingerprint", Text, primary_key=True),  # of what was asked for
    Column("url", Text, nullable=False),
    Column("made_by", Uuid, nullable=False),  # the task whose URL it is: this one, or one that it continues
    Column("run", Integer, nullable=False),
    Column("made_at", TIME, nullable=False, server_default=NOW),
    Index("hooks_made", "made_by", "step_number"),
)
