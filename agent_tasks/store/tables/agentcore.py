"""What the door of AgentCore keeps: sessions, invocations, jobs and the state of its ping."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from agent_tasks.store.tables.schema import NOW, TIME, metadata, task_id


def _of_runtime() -> list[Column[object]]:
    """Which agent is served, and whom its sessions act as."""
    return [Column(name, Text, nullable=False) for name in ("agent", "tenant", "subject")]


agentcore_sessions = Table(
    "agentcore_sessions",
    metadata,
    *_of_runtime(),
    Column("id", Text, nullable=False),  # at most 256 characters
    Column("began_at", TIME, nullable=False, server_default=NOW),
    Column("invoked_at", TIME, nullable=False, server_default=NOW, index=True),
    PrimaryKeyConstraint("agent", "tenant", "subject", "id"),
)

agentcore_invocations = Table(
    "agentcore_invocations",
    metadata,
    task_id(),
    *_of_runtime(),
    Column("session_id", Text, nullable=False),
    Column("read_at", TIME),  # when the session was told the result; null: not yet
    Index("agentcore_invocations_session", "session_id", "task_id"),
)

agentcore_jobs = Table(
    "agentcore_jobs",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("metadata", JSONB),
    Column("started_at", TIME, nullable=False, server_default=NOW, index=True),
    # the try of a step in which it was added, if it was in one
    Column("task_id", Uuid),
    Column("step_number", Integer),
    Column("run", Integer),
    Column("tenant", Text),
    Column("subject", Text),
    Column("session_id", Text),
    Index("agentcore_jobs_task", "task_id", postgresql_where=text("task_id IS NOT NULL")),
    Index("agentcore_jobs_session", text('"left"(session_id, 256)'), postgresql_where=text("session_id IS NOT NULL")),
)

agentcore_pings = Table(
    "agentcore_pings",
    metadata,
    *_of_runtime(),
    Column("status", Text, nullable=False),
    Column("since", TIME, nullable=False, server_default=NOW),
    PrimaryKeyConstraint("agent", "tenant", "subject"),
    CheckConstraint("status IN ('Healthy', 'HealthyBusy')", name="status"),
)
