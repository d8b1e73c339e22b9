"""Schedules, by which tasks are submitted again and again."""

from sqlalchemy import CheckConstraint, Column, Double, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from agent_tasks.store.tables.schema import TIME, metadata, required

schedules = Table(
    "schedules",
    metadata,
    Column("tenant", Text, primary_key=True, server_default=text("''")),
    Column("name", Text, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("input", JSONB, nullable=False),
    Column("options", JSONB, nullable=False),
    Column("cron", Text),
    Column("every_seconds", Double[float]()),
    Column("timezone", Text, nullable=False),
    Column("next_at", TIME, nullable=False, index=True),
    Column("last_at", TIME),
    Column("last_task_id", Uuid),
    required("catch_up", Text, "'one'"),  # what becomes of missed firings: one, all or none
    Column("paused_at", TIME),  # since when it does not fire
    Column("paused_by", Text),
    Column("paused_tenant", Text),  # NULL: the operators have paused it
    Column("paused_reason", Text),
    CheckConstraint("(cron IS NULL) <> (every_seconds IS NULL)", name="rhythm"),
)
