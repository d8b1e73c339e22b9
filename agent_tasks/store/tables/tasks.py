"""Tasks, and the labels by which they are found."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from agent_tasks.store.indexed import ERROR_TEXT, SKEWED
from agent_tasks.store.tables.schema import NOW, SCHEMA, TIME, metadata, required
from agent_tasks.task.status import TERMINAL, TaskStatus


def _list(statuses: "frozenset[TaskStatus]") -> str:
    return ", ".join(f"'{status}'" for status in sorted(statuses))


tasks = Table(
    "tasks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("step", Text, nullable=False),
    required("step_number", Integer, "0"),
    Column("queue", Text, nullable=False),
    required("priority", SmallInteger, "5"),
    # the place in the tree
    Column("parent_id", Uuid),
    Column("root_id", Uuid, nullable=False),
    Column("lineage_id", Uuid, nullable=False),  # the first task of a chain of resumes
    Column("resumed_from", Uuid),
    required("depth", Integer, "0"),
    Column("parent_step", Integer),  # the step of the parent whose FanOut spawned this task
    Column("parent_call", Integer),  # the call of that step, where its code spawned it by ctx.fan_out
    Column("child_index", Integer),  # its place in that FanOut
    # of this task's current FanOut: the join's counter; and of the fan-outs of its step, which have their own
    required("children_left", Integer, "0"),
    Column("on_child_failure", Text),
    # who and what for
    required("tenant", Text, "''"),
    Column("identity", JSONB),
    Column("session_id", Text),
    Column("metadata", JSONB),
    Column("callback_url", Text),
    Column("traceparent", Text),  # of its own span, which is written at its end
    Column("parent_span", Text),  # the span that submitted it, or the step's that spawned it
    required("sensitive", Boolean, "false"),
    Column("ttl_seconds", Double[float](), nullable=False),
    required("retention_seconds", Double, "0"),  # of the tree, where this is its root; 0: the deployment's
    # payloads
    Column("input", JSONB),
    Column("result", JSONB),
    Column("error", JSONB),
    Column("traceback", Text),
    Column("partial", JSONB),
    Column("remaining", JSONB),
    Column("progress", JSONB),
    Column("waiting_for", JSONB),
    Column("waited", JSONB),  # what it waited for until it became pending
    # budget: null is no limit
    Column("budget_seconds", Double[float]()),
    Column("budget_tokens", BigInteger),
    Column("budget_usd", Numeric),
    Column("budget_steps", Integer),
    Column("budget_calls", Integer),
    required("spent_seconds", Double, "0"),
    required("spent_tokens", BigInteger, "0"),
    required("spent_usd", Numeric, "0"),
    required("spent_steps", Integer, "0"),
    required("spent_calls", Integer, "0"),
    # reserved for living children, returned when they end
    required("reserved_tokens", BigInteger, "0"),
    required("reserved_usd", Numeric, "0"),
    required("reserved_steps", Integer, "0"),
    required("reserved_calls", Integer, "0"),
    # reserved by calls under way, the sum of theirs; given back as each ends, and at the step's end
    required("held_tokens", BigInteger, "0"),
    required("held_usd", Numeric, "0"),
    # the claim: `run` is the fencing token, every write of a worker names it
    required("run", Integer, "0"),
    Column("worker", Text),
    required("attempt", Integer, "0"),  # claims of this step that count as tries
    required("uncounted", Integer, "0"),  # and those that do not: given back, or ended by what others did
    required("failures", Integer, "0"),  # tries ended by an exception
    required("crashes", Integer, "0"),  # tries that ended with the process in which the step ran alone
    # 1: the step ran when a process died, and is run apart until it commits; 2: when that process died, too
    required("suspect", SmallInteger, "0"),
    Column(
        "refused", JSONB
    ),  # workers gave this step back: since when, until when, how often, why, and their signatures
    required("rings", SmallInteger, "0"),  # bells of this pending step that nobody answered
    # undoing: what the task ends with once its undo functions have run, and the checkpoint that is being undone
    required("undoable", Integer, "0"),  # committed steps that have an undo
    Column("undo_step", Integer),
    Column("ending", JSONB),
    # when a sweep acts on the row if nothing else has: running: the lease expires; pending: it is rung again;
    # waiting: the timer fires. Null: never.
    Column("due_at", TIME),
    Column("put_off_by", BigInteger),  # the pause for which a sweep, or a claim, has put `due_at` off
    required("version", BigInteger, "1"),  # grows with every change an observer can see
    required("event_seq", BigInteger, "0"),
    Column("created_at", TIME, nullable=False, server_default=NOW),
    Column("pending_since", TIME, server_default=NOW),
    Column("started_at", TIME),
    Column("claimed_at", TIME),
    Column("finished_at", TIME),
    Column("acknowledged_at", TIME),
    CheckConstraint(f"status IN ({_list(frozenset(TaskStatus))})", name="status"),
    CheckConstraint(f"(status IN ({_list(TERMINAL)})) = (finished_at IS NOT NULL)", name="finished"),
    CheckConstraint("(status = 'waiting') = (waiting_for IS NOT NULL)", name="waiting"),
    CheckConstraint("status <> 'running' OR (worker IS NOT NULL AND due_at IS NOT NULL)", name="running"),
    CheckConstraint("status <> 'pending' OR due_at IS NOT NULL", name="pending"),
    CheckConstraint("(status IN ('failed', 'cancelled', 'timeout', 'partial')) <= (error IS NOT NULL)", name="error"),
    CheckConstraint("status <> 'completed' OR error IS NULL", name="completed"),
    CheckConstraint("spent_seconds >= 0", name="spent"),
    CheckConstraint("children_left >= 0", name="children_left"),
    CheckConstraint(
        "reserved_tokens >= 0 AND reserved_usd >= 0 AND reserved_steps >= 0 AND reserved_calls >= 0", name="reserved"
    ),
    CheckConstraint("held_tokens >= 0 AND held_usd >= 0", name="held"),
    CheckConstraint("(parent_id IS NULL) = (parent_step IS NULL)", name="child"),
    CheckConstraint("(ending IS NULL) = (undo_step IS NULL) OR finished_at IS NOT NULL", name="undoing"),
    CheckConstraint("acknowledged_at IS NULL OR finished_at IS NOT NULL", name="acknowledged"),
    Index("tasks_living", "status", "due_at", postgresql_where=text("finished_at IS NULL")),
    Index("tasks_ended", "status", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    Index(
        "tasks_retention",
        "retention_seconds",
        text("(acknowledged_at IS NOT NULL)"),
        "finished_at",
        "id",
        postgresql_where=text("parent_id IS NULL AND finished_at IS NOT NULL"),
    ),
    Index("tasks_suspect", "suspect", postgresql_where=text("suspect > 0 AND status = 'pending'")),
    Index("tasks_put_off", "put_off_by", postgresql_where=text("put_off_by IS NOT NULL AND finished_at IS NULL")),
    Index("tasks_root", "root_id"),
    Index("tasks_parent", "parent_id", "parent_step", "child_index", postgresql_where=text("parent_id IS NOT NULL")),
    Index("tasks_resumed", "resumed_from", postgresql_where=text("resumed_from IS NOT NULL")),
    Index("tasks_usage", "agent", "finished_at", postgresql_where=text("status = 'completed'")),
    # partial, so that tasks without an identity, or a session, pay nothing for them
    Index("tasks_tenant", "tenant", "id", postgresql_where=text("identity IS NOT NULL")),
    Index(
        "tasks_subject",
        text("(identity ->> 'subject')"),
        "tenant",
        "id",
        postgresql_where=text("identity IS NOT NULL"),
    ),
    Index("tasks_open", "tenant", postgresql_where=text("identity IS NOT NULL AND finished_at IS NULL")),
    Index(  # by its beginning: one may be longer than an index takes
        "tasks_session", text('"left"(session_id, 256)'), "id", postgresql_where=text("session_id IS NOT NULL")
    ),
    # by which tasks are searched, the newest first
    *(Index(f"tasks_by_{column}", column, "id") for column in ("agent", "step", "queue", "status")),
    Index(  # where nulls are, it is of use to no other order
        "tasks_by_end",
        text("finished_at DESC NULLS LAST"),
        text("id DESC"),
        postgresql_where=text("finished_at IS NOT NULL"),
    ),
    Index("tasks_by_error", text("(error ->> 'type')"), "id", postgresql_where=text("error IS NOT NULL")),
    Index("tasks_with_errors", "id", postgresql_where=text("error IS NOT NULL")),
    Index(
        "tasks_error_words",
        text(ERROR_TEXT),
        postgresql_using="gin",
        postgresql_where=text("(error ->> 'message') IS NOT NULL"),
    ),
    Index("tasks_skewed", "created_at", "id", postgresql_where=text(SKEWED)),
)

labels = Table(  # of metadata, which is found by them: its keys and values as text, as much of them as an index takes
    "labels",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("task_id", Uuid, ForeignKey(f"{SCHEMA}.tasks.id", ondelete="CASCADE"), primary_key=True),
    Index("labels_task", "task_id"),
)
