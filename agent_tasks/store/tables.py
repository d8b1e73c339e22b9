"""The tables, and the constraints by which the database itself defends the invariants."""

from sqlalchemy import (
    ARRAY,
    REAL,
    TIMESTAMP,
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
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from agent_tasks.store.indexed import ERROR_TEXT, SKEWED
from agent_tasks.store.xid8 import Xid8
from agent_tasks.task.status import TERMINAL, TaskStatus

SCHEMA = "agent_tasks"
metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "%(table_name)s_%(column_0_name)s",
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s",
    },
)


def _list(statuses: "frozenset[TaskStatus]") -> str:
    return ", ".join(f"'{status}'" for status in sorted(statuses))


_TIME = TIMESTAMP(timezone=True)
_NOW = text("clock_timestamp()")


def _required(name: str, type_: object, default: str) -> Column[object]:
    return Column(name, type_, nullable=False, server_default=text(default))  # type: ignore[arg-type]


tasks = Table(
    "tasks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("step", Text, nullable=False),
    _required("step_number", Integer, "0"),
    Column("queue", Text, nullable=False),
    _required("priority", SmallInteger, "5"),
    # the place in the tree
    Column("parent_id", Uuid),
    Column("root_id", Uuid, nullable=False),
    Column("lineage_id", Uuid, nullable=False),  # the first task of a chain of resumes
    Column("resumed_from", Uuid),
    _required("depth", Integer, "0"),
    Column("parent_step", Integer),  # the step of the parent whose FanOut spawned this task
    Column("parent_call", Integer),  # the call of that step, where its code spawned it by ctx.fan_out
    Column("child_index", Integer),  # its place in that FanOut
    # of this task's current FanOut: the join's counter; and of the fan-outs of its step, which have their own
    _required("children_left", Integer, "0"),
    Column("on_child_failure", Text),
    # who and what for
    _required("tenant", Text, "''"),
    Column("identity", JSONB),
    Column("session_id", Text),
    Column("metadata", JSONB),
    Column("callback_url", Text),
    Column("traceparent", Text),  # of its own span, which is written at its end
    Column("parent_span", Text),  # the span that submitted it, or the step's that spawned it
    _required("sensitive", Boolean, "false"),
    Column("ttl_seconds", Double, nullable=False),
    _required("retention_seconds", Double, "0"),  # of the tree, where this is its root; 0: the deployment's
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
    Column("budget_seconds", Double),
    Column("budget_tokens", BigInteger),
    Column("budget_usd", Numeric),
    Column("budget_steps", Integer),
    Column("budget_calls", Integer),
    _required("spent_seconds", Double, "0"),
    _required("spent_tokens", BigInteger, "0"),
    _required("spent_usd", Numeric, "0"),
    _required("spent_steps", Integer, "0"),
    _required("spent_calls", Integer, "0"),
    # reserved for living children, returned when they end
    _required("reserved_tokens", BigInteger, "0"),
    _required("reserved_usd", Numeric, "0"),
    _required("reserved_steps", Integer, "0"),
    _required("reserved_calls", Integer, "0"),
    # reserved by calls under way, the sum of theirs; given back as each ends, and at the step's end
    _required("held_tokens", BigInteger, "0"),
    _required("held_usd", Numeric, "0"),
    # the claim: `run` is the fencing token, every write of a worker names it
    _required("run", Integer, "0"),
    Column("worker", Text),
    _required("attempt", Integer, "0"),  # claims of this step that count as tries
    _required("uncounted", Integer, "0"),  # and those that do not: given back, or ended by what others did
    _required("failures", Integer, "0"),  # tries ended by an exception
    _required("crashes", Integer, "0"),  # tries that ended with the process in which the step ran alone
    # 1: the step ran when a process died, and is run apart until it commits; 2: when that process died, too
    _required("suspect", SmallInteger, "0"),
    Column(
        "refused", JSONB
    ),  # workers gave this step back: since when, until when, how often, why, and their signatures
    _required("rings", SmallInteger, "0"),  # bells of this pending step that nobody answered
    # undoing: what the task ends with once its undo functions have run, and the checkpoint that is being undone
    _required("undoable", Integer, "0"),  # committed steps that have an undo
    Column("undo_step", Integer),
    Column("ending", JSONB),
    # when a sweep acts on the row if nothing else has: running: the lease expires; pending: it is rung again;
    # waiting: the timer fires. Null: never.
    Column("due_at", _TIME),
    Column("put_off_by", BigInteger),  # the pause for which a sweep, or a claim, has put `due_at` off
    _required("version", BigInteger, "1"),  # grows with every change an observer can see
    _required("event_seq", BigInteger, "0"),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
    Column("pending_since", _TIME, server_default=_NOW),
    Column("started_at", _TIME),
    Column("claimed_at", _TIME),
    Column("finished_at", _TIME),
    Column("acknowledged_at", _TIME),
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
    Column("began_at", _TIME, nullable=False, server_default=_NOW),
    Column("ended_at", _TIME),
    Column("released_at", _TIME),  # since when nothing is put off for it any more
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


def _task_id() -> Column[object]:
    return Column("task_id", Uuid, ForeignKey(f"{SCHEMA}.tasks.id", ondelete="CASCADE"), primary_key=True)


checkpoints = Table(
    "checkpoints",
    metadata,
    _task_id(),
    Column("step_number", Integer, primary_key=True),
    Column("step", Text, nullable=False),
    Column("next_step", Text),  # null: this step ended the task
    Column("state", JSONB),  # the arguments of next_step; null where they were purged
    Column("awaits", JSONB),  # what next_step was to wait for, as in tasks.waiting_for
    _required("undo", Boolean, "false"),  # the step has an undo function
    Column("run", Integer, nullable=False),
    Column("seconds", REAL, nullable=False),
    Column("committed_at", _TIME, nullable=False, server_default=_NOW),
)

calls = Table(
    "calls",
    metadata,
    _task_id(),
    Column("step_number", Integer, primary_key=True),
    Column("ordinal", Integer, primary_key=True),  # in the order in which the step's calls were begun
    # what the call is known by; null in records of 0.1.0, which are known by ordinal and name
    Column("branch", Text),  # the path of the code that made it: of a task, a thread, a call around it
    Column("name", Text, nullable=False),
    Column("digest", Text),  # of the arguments
    Column("place", Integer),  # among equals of its branch
    Column("key", Text),  # the author's own
    Column("status", Text, nullable=False),
    Column("at_most_once", Boolean, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("outcome", JSONB),
    Column("run", Integer, nullable=False),
    _required("attempts", Integer, "1"),
    # by the step's own clock, which counts: when it was begun, and each branch of its path; when the step was given
    # what came of it
    Column("begun", Integer),
    Column("births", ARRAY(Integer)),
    Column("ended", Integer),
    Column("replay", Text),  # what a repeat does with it; null: it gives it back
    Column("wait", JSONB),  # of a wait of the step: what for, since when, until when; null: a call
    Column("children_left", Integer),  # of a fan-out of the step: the join's counter
    # what is left of its reservation while it is under way
    _required("held_tokens", BigInteger, "0"),
    _required("held_usd", Numeric, "0"),
    # what was charged within it, whoever made it and however often
    _required("tokens", BigInteger, "0"),
    _required("usd", Numeric, "0"),
    Column("started_at", _TIME, nullable=False, server_default=_NOW),
    Column("finished_at", _TIME),
    CheckConstraint("status IN ('started', 'completed', 'failed', 'cancelled')", name="status"),
    CheckConstraint("replay IN ('again', 'optional', 'tried')", name="replay"),
    CheckConstraint("(status = 'started') = (finished_at IS NULL)", name="finished"),
)

charges = Table(
    "charges",
    metadata,
    _task_id(),
    Column("step_number", Integer, primary_key=True),
    Column("fingerprint", Text, primary_key=True),  # of what the charge is known by, as a call
    Column("branch", Text, nullable=False),
    Column(
        "ended", Integer
    ),  # when the step was answered, by its own clock; null: it had cancelled the charge meanwhile
    Column("tokens", BigInteger, nullable=False),
    Column("usd", Numeric, nullable=False),
    # of the task, with what was reserved for its children, as the step saw it
    Column("spent_tokens", BigInteger, nullable=False),
    Column("spent_usd", Numeric, nullable=False),
    Column("run", Integer, nullable=False),
    Column("charged_at", _TIME, nullable=False, server_default=_NOW),
)

events = Table(
    "events",
    metadata,
    _task_id(),
    Column("seq", BigInteger, primary_key=True),
    Column("type", Text, nullable=False),
    Column("data", JSONB),
    Column("at", _TIME, nullable=False, server_default=_NOW),
    Index("events_charged", "at", postgresql_where=text("type = 'charged'")),
)

signals = Table(
    "signals",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("task_id", Uuid, ForeignKey(f"{SCHEMA}.tasks.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("payload", JSONB),
    Column("signal_id", Text),
    Column("sender", JSONB),
    Column("sent_at", _TIME, nullable=False, server_default=_NOW),
    Column("consumed_step", Integer),  # the step number that was handed the signal; null: in the inbox
    Column("consumed_call", Integer),  # and the ordinal of the wait in that step that took it; null: its argument
    Column("wait_id", Text),  # the one wait that it answers; null: any of its name
    Column("receipt", JSONB),  # as its sender got it
    Column("traceparent", Text),  # of the span that sent it
    Index("signals_inbox", "task_id", "name"),
    Index("signals_once", "task_id", "signal_id", unique=True, postgresql_where=text("signal_id IS NOT NULL")),
)

logs = Table(
    "logs",
    metadata,
    _task_id(),
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("at", _TIME, nullable=False),
    Column("level", Text, nullable=False),
    Column("logger", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("step_number", Integer, nullable=False),
    Column("run", Integer, nullable=False),
)

hooks = Table(
    "hooks",
    metadata,
    _task_id(),
    Column("step_number", Integer, primary_key=True),
    Column("fingerprint", Text, primary_key=True),  # of what was asked for
    Column("url", Text, nullable=False),
    Column("made_by", Uuid, nullable=False),  # the task whose URL it is: this one, or one that it continues
    Column("run", Integer, nullable=False),
    Column("made_at", _TIME, nullable=False, server_default=_NOW),
    Index("hooks_made", "made_by", "step_number"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("tenant", Text, primary_key=True, server_default=text("''")),
    Column("name", Text, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("input", JSONB, nullable=False),
    Column("options", JSONB, nullable=False),
    Column("cron", Text),
    Column("every_seconds", Double),
    Column("timezone", Text, nullable=False),
    Column("next_at", _TIME, nullable=False, index=True),
    Column("last_at", _TIME),
    Column("last_task_id", Uuid),
    _required("catch_up", Text, "'one'"),  # what becomes of missed firings: one, all or none
    Column("paused_at", _TIME),  # since when it does not fire
    Column("paused_by", Text),
    Column("paused_tenant", Text),  # NULL: the operators have paused it
    Column("paused_reason", Text),
    CheckConstraint("(cron IS NULL) <> (every_seconds IS NULL)", name="rhythm"),
)

ended_sessions = (
    Table(  # of people who have signed out of the console, until the sessions would have ended by themselves
        "ended_sessions",
        metadata,
        Column("id", Text, primary_key=True),
        Column("expires_at", _TIME, nullable=False),
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
    Column("expires_at", _TIME, nullable=False, index=True),
)

agents = Table(
    "agents",
    metadata,
    Column("name", Text, primary_key=True),
    Column("definition", JSONB, nullable=False),
    Column("seen_at", _TIME, nullable=False, server_default=_NOW),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hostname", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("queues", ARRAY(Text), nullable=False),
    Column("steps", ARRAY(Text), nullable=False),
    Column("started_at", _TIME, nullable=False, server_default=_NOW),
    Column("seen_at", _TIME, nullable=False, server_default=_NOW),
    Column("stopped_at", _TIME),
    Column("keys", ARRAY(Text)),  # fingerprints of the keys it verifies with, the one it signs with first
    Column("signatures", ARRAY(Text)),  # of each of `steps`, which arguments it takes; null of workers before 0012
    Column("bells", Text),  # where it takes bells from, as doorbell.place says it; null of workers before 0024
)

watches = Table(
    "watches",
    metadata,
    Column("name", Text, primary_key=True),
    Column("since", _TIME, nullable=False),  # the sweep has run without a gap from here
    Column("last_at", _TIME, nullable=False),
    Column("keys", ARRAY(Text)),  # of the sweeper that ran last, as in workers.keys
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)


def _of_runtime() -> list[Column[object]]:
    """Which agent is served, and whom its sessions act as."""
    return [Column(name, Text, nullable=False) for name in ("agent", "tenant", "subject")]


agentcore_sessions = Table(
    "agentcore_sessions",
    metadata,
    *_of_runtime(),
    Column("id", Text, nullable=False),  # at most 256 characters
    Column("began_at", _TIME, nullable=False, server_default=_NOW),
    Column("invoked_at", _TIME, nullable=False, server_default=_NOW, index=True),
    PrimaryKeyConstraint("agent", "tenant", "subject", "id"),
)

agentcore_invocations = Table(
    "agentcore_invocations",
    metadata,
    _task_id(),
    *_of_runtime(),
    Column("session_id", Text, nullable=False),
    Column("read_at", _TIME),  # when the session was told the result; null: not yet
    Index("agentcore_invocations_session", "session_id", "task_id"),
)

agentcore_jobs = Table(
    "agentcore_jobs",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("metadata", JSONB),
    Column("started_at", _TIME, nullable=False, server_default=_NOW, index=True),
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
    Column("since", _TIME, nullable=False, server_default=_NOW),
    PrimaryKeyConstraint("agent", "tenant", "subject"),
    CheckConstraint("status IN ('Healthy', 'HealthyBusy')", name="status"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    _required("tenant", Text, "''"),
    Column("subject", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("digest", LargeBinary, nullable=False),  # of the key, which is kept nowhere
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
    Column("expires_at", _TIME),  # null: never
    Column("last_used_at", _TIME),
    Column("revoked_at", _TIME),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", _TIME, nullable=False, server_default=_NOW),
    _required("tenant", Text, "''"),
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

bulks = Table(  # operations on many tasks at once, and how far each has come
    "bulks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("operation", Text, nullable=False),
    Column("filter", JSONB, nullable=False),
    Column("options", JSONB, nullable=False),
    _required("status", Text, "'running'"),
    _required("tenant", Text, "''"),
    Column("identity", JSONB),  # whose tasks they are; null: a trusted program asked
    Column("asked_by", JSONB),  # who asked, where the door knows
    Column("most", BigInteger),  # tasks that it changes at the most
    Column("after_id", Uuid),  # where the next batch begins, as a page of a search does
    Column("after_at", _TIME),
    _required("matched", BigInteger, "0"),
    _required("done", BigInteger, "0"),
    _required("passed_over", BigInteger, "0"),
    _required("failed", BigInteger, "0"),
    _required("problems", JSONB, "'[]'"),
    Column("idempotency_key", Text),
    Column("request_digest", LargeBinary),  # what makes two requests with this key the same one
    Column("audit_id", BigInteger),  # its one row there, which is completed at the end
    Column("due_at", _TIME),  # from when on a sweep goes on with it
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
    Column("finished_at", _TIME),
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

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Uuid, primary_key=True),
    _required("tenant", Text, "''"),
    Column("name", Text, nullable=False),
    Column("subject", Text),  # whose tasks it is told of; null: all of the tenant's
    _required("trusted", Boolean, "false"),  # a trusted program registered it: it is told of tasks without an identity
    Column("url", Text, nullable=False),
    Column("types", ARRAY(Text)),  # null: all
    Column("agents", ARRAY(Text)),  # null: all
    _required("payload", Text, "'thin'"),
    _required("ordered", Boolean, "true"),
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),  # signs, too, until `old_until`
    Column("old_until", _TIME),
    Column("disabled_at", _TIME),
    Column("disabled_why", Text),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
    CheckConstraint("payload IN ('thin', 'full')", name="payload"),
    CheckConstraint("disabled_why IN ('asked', 'gone', 'failing')", name="why"),
    CheckConstraint("(disabled_at IS NULL) = (disabled_why IS NULL)", name="disabled"),
    CheckConstraint("(old_secret IS NULL) = (old_until IS NULL)", name="rotating"),
    Index("webhooks_name", "tenant", "name", unique=True),
)

# What webhooks are told: written by a trigger on `events`, in the commit of the event. No foreign keys here and in
# `deliveries`: the rows outlive their task and their endpoint.
outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),  # the feed is in order of commits
    Column("task_id", Uuid),  # null: of an endpoint, not of a task
    Column("seq", BigInteger),  # of the event
    Column("type", Text, nullable=False),
    _required("tenant", Text, "''"),
    Column("subject", Text),
    Column("agent", Text),
    # of the task, as of the event
    Column("status", Text),
    Column("version", BigInteger),
    Column("data", JSONB),  # of the event; null where the task is sensitive
    Column("at", _TIME, nullable=False, server_default=_NOW),
    CheckConstraint("(task_id IS NULL) = (seq IS NULL)", name="event"),
    Index("outbox_event", "task_id", "seq", unique=True, postgresql_where=text("task_id IS NOT NULL")),
    Index("outbox_feed", "tenant", "xid", "id"),
    Index("outbox_at", "at"),
)

a2a_pushes = Table(  # whom A2A's clients want to be told of a task
    "a2a_pushes",
    metadata,
    _task_id(),
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("token", Text),
    Column("scheme", Text),
    Column("credentials", Text),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    Column("outbox_id", BigInteger, nullable=False),
    Column("webhook_id", Uuid),  # null: the callback of one task
    # what hangs or fails, does so alone: an endpoint, or an origin of a tenant's callbacks
    Column("lane", Text, nullable=False),
    Column("url", Text),  # of a callback
    _required("tenant", Text, "''"),
    Column("subject", Text),
    Column("task_id", Uuid),
    Column("seq", BigInteger),
    Column("type", Text, nullable=False),
    _required("ordered", Boolean, "true"),
    _required("status", Text, "'pending'"),
    _required("attempt", Integer, "0"),  # the fence: who ends an attempt names it
    _required("given_back", Integer, "0"),  # attempts that were not made, or broken off, for reasons of the deployment
    # null: it is over, or waits for an earlier one of its task; of one that is being sent: when it is sent again
    Column("due_at", _TIME, server_default=_NOW),
    Column("answer", Integer),  # the status of the last answer
    Column("error", Text),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
    Column("last_at", _TIME),
    Column("ended_at", _TIME),
    CheckConstraint("status IN ('pending', 'delivered', 'failed', 'dropped')", name="status"),
    CheckConstraint("(status = 'pending') = (ended_at IS NULL)", name="ended"),
    CheckConstraint("due_at IS NULL OR status = 'pending'", name="due"),
    Column("push_id", Text),  # of the callback of an A2A client, that of its `a2a_pushes`
    CheckConstraint("(webhook_id IS NULL) = (url IS NOT NULL)", name="target"),
    CheckConstraint("(task_id IS NULL) = (seq IS NULL)", name="event"),
    Index("deliveries_due", "lane", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    Index("deliveries_order", "lane", "task_id", "seq", postgresql_where=text("status = 'pending'")),
    Index("deliveries_outbox", "outbox_id"),
    Index("deliveries_made", "created_at", "id"),
    Index("deliveries_tenant", "tenant", "created_at", "id"),
    Index("deliveries_webhook", "webhook_id", "created_at", "id"),
    Index("deliveries_task", "task_id", "created_at", "id"),
    Index("deliveries_failed", "ended_at", postgresql_where=text("status = 'failed'")),
)

lanes = Table(  # of those whose last attempt failed
    "lanes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("failing_since", _TIME),
    Column("retry_at", _TIME),
    Column("asked_until", _TIME),  # until when the receiver has asked to be left alone
    Column("last_at", _TIME, server_default=_NOW, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("tenant", Text, primary_key=True, server_default=text("''")),
    Column("name", Text, primary_key=True),
    _required("everywhere", Boolean, "false"),  # a trusted program's of no tenant: it watches the tasks of all
    Column("kind", Text, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("window_seconds", Double),
    Column("agent", Text),  # null: all
    Column("queue", Text),  # null: all
    Column("waits_for", Text),  # null: whatever
    Column("least", Integer),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
    # as of the last check
    _required("state", Text, "'ok'"),
    Column("since", _TIME, nullable=False, server_default=_NOW),
    Column("value", Double),
    Column("found", JSONB),
    Column("checked_at", _TIME),
    Column("due_at", _TIME, nullable=False, server_default=_NOW, index=True),
    _required("run", BigInteger, "0"),  # the fence of a check: grows with each, and with each change of the rule
    CheckConstraint("state IN ('ok', 'firing')", name="state"),
)
