"""What operators do to many tasks, and the rules by which they are told: pauses, bulk operations and alerts."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from agent_tasks.store.tables.schema import NOW, SCHEMA, TIME, metadata, required

pauses = Table(  # of tasks, agents, queues and tenants: while one has not ended, no step of these is begun
    "pauses",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("target", Text, nullable=False),  # by which a task finds the pauses that hold for it: store/pausing.py
    Column("tenant", Text),  # whose people paused it, and of whose tasks alone an agent or a queue is paused
    Column("task_id", Uuid, ForeignKey(f"{SCHEMA}.tasks.id", ondelete="CASCADE")),
    Column("reason", Text),
    Column("by", Text, nullable=False),
    Column("began_at", TIME, nullable=False, server_default=NOW),
    Column("ended_at", TIME),
    Column("released_at", TIME),  # since when nothing is put off for it any more
    Column("by_operators", Boolean, nullable=False, server_default=text("false")),  # else by the tenant's people
    CheckConstraint("kind IN ('task', 'agent', 'queue', 'tenant')", name="kind"),
    CheckConstraint("(kind = 'task') = (task_id IS NOT NULL)", name="task"),
    CheckConstraint("ended_at >= began_at", name="ended"),
    CheckConstraint("released_at IS NULL OR ended_at IS NOT NULL", name="released"),
    Index("pauses_living", "target", "by_operators", unique=True, postgresql_where=text("ended_at IS NULL")),
    Index("pauses_target", "target", "ended_at"),
    Index("pauses_open", "id", postgresql_where=text("released_at IS NULL")),
    Index("pauses_task", "task_id", postgresql_where=text("task_id IS NOT NULL")),
)

bulks = Table(  # operations on many tasks at once, and how far each has come
    "bulks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("operation", Text, nullable=False),
    Column("filter", JSONB, nullable=False),
    Column("options", JSONB, nullable=False),
    required("status", Text, "'running'"),
    required("tenant", Text, "''"),
    Column("identity", JSONB),  # whose tasks they are; null: a trusted program asked
    Column("asked_by", JSONB),  # who asked, where the door knows
    Column("most", BigInteger),  # tasks that it changes at the most
    Column("after_id", Uuid),  # where the next batch begins, as a page of a search does
    Column("after_at", TIME),
    required("matched", BigInteger, "0"),
    required("done", BigInteger, "0"),
    required("passed_over", BigInteger, "0"),
    required("failed", BigInteger, "0"),
    required("problems", JSONB, "'[]'"),
    Column("idempotency_key", Text),
    Column("request_digest", LargeBinary),  # what makes two requests with this key the same one
    Column("audit_id", BigInteger),  # its one row there, which is completed at the end
    Column("due_at", TIME),  # from when on a sweep goes on with it
    Column("created_at", TIME, nullable=False, server_default=NOW),
    Column("finished_at", TIME),
    CheckConstraint("status IN ('running', 'done', 'stopped', 'failed')", name="status"),
    CheckConstraint("(status = 'running') = (finished_at IS NULL)", name="finished"),
    Index(
        "bulks_key",
        text("coalesce(asked_by ->> 'tenant', '')"),
        text("coalesce(asked_by ->> 'subject', '')"),
        "idempotency_key",
        unique=True,
        postgresql_where=text("idempotency_key IS NOT NULL"),
    ),
    Index("bulks_due", "due_at", postgresql_where=text("finished_at IS NULL")),
    Index("bulks_ended", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
)

alerts = Table(
    "alerts",
    metadata,
    Column("tenant", Text, primary_key=True, server_default=text("''")),
    Column("name", Text, primary_key=True),
    required("everywhere", Boolean, "false"),  # a trusted program's of no tenant: it watches the tasks of all
    Column("kind", Text, nullable=False),
    Column("threshold", Double[float](), nullable=False),
    Column("window_seconds", Double[float]()),
    Column("agent", Text),  # null: all
    Column("queue", Text),  # null: all
    Column("waits_for", Text),  # null: whatever
    Column("least", Integer),
    Column("created_at", TIME, nullable=False, server_default=NOW),
    # as of the last check
    required("state", Text, "'ok'"),
    Column("since", TIME, nullable=False, server_default=NOW),
    Column("value", Double[float]()),
    Column("found", JSONB),
    Column("checked_at", TIME),
    Column("due_at", TIME, nullable=False, server_default=NOW, index=True),
    required("run", BigInteger, "0"),  # the fence of a check: grows with each, and with each change of the rule
    CheckConstraint("state IN ('ok', 'firing')", name="state"),
)
