"""Who may do what, and who did: keys, sessions, requests that are not to be done twice, and the audit."""

from sqlalchemy import ARRAY, BigInteger, Column, Identity, Index, LargeBinary, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from agent_tasks.store.tables.schema import NOW, TIME, metadata, required

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    required("tenant", Text, "''"),
    Column("subject", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("digest", LargeBinary, nullable=False),  # of the key, which is kept nowhere
    Column("created_at", TIME, nullable=False, server_default=NOW),
    Column("expires_at", TIME),  # null: never
    Column("last_used_at", TIME),
    Column("revoked_at", TIME),
)

ended_sessions = (
    Table(  # of people who have signed out of the console, until the sessions would have ended by themselves
        "ended_sessions",
        metadata,
        Column("id", Text, primary_key=True),
        Column("expires_at", TIME, nullable=False),
        Index("ended_sessions_expires_at", "expires_at"),
    )
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("task_id", Uuid, nullable=False, index=True),
    Column("expires_at", TIME, nullable=False, index=True),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", TIME, nullable=False, server_default=NOW),
    required("tenant", Text, "''"),
    Column("subject", Text),  # null: a trusted program
    Column("key_id", Text),
    Column("door", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("task_id", Uuid),  # no foreign key: a row outlives its task
    Column("target", Text),  # the name of the schedule or the signal
    Column("data", JSONB),
    Column("answer", Text, nullable=False),  # 'accepted', or the type of the error
    Index("audit_tenant", "tenant", "id"),
    Index("audit_task", "task_id", postgresql_where=text("task_id IS NOT NULL")),
    Index("audit_at", "at"),
)
