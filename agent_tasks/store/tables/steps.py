"""What the steps of tasks leave: checkpoints, calls, charges, events and log lines."""

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from agent_tasks.store.tables.schema import NOW, TIME, metadata, required, task_id

checkpoints = Table(
    "checkpoints",
    metadata,
    task_id(),
    Column("step_number", Integer, primary_key=True),
    Column("step", Text, nullable=False),
    Column("next_step", Text),  # null: this step ended the task
    Column("state", JSONB),  # the arguments of next_step; null where they were purged
    Column("awaits", JSONB),  # what next_step was to wait for, as in tasks.waiting_for
    required("undo", Boolean, "false"),  # the step has an undo function
    Column("run", Integer, nullable=False),
    Column("seconds", REAL[float](), nullable=False),
    Column("committed_at", TIME, nullable=False, server_default=NOW),
)

calls = Table(
    "calls",
    metadata,
    task_id(),
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
    required("attempts", Integer, "1"),
    # by the step's own clock, which counts: when it was begun, and each branch of its path; when the step was given
    # what came of it
    Column("begun", Integer),
    Column("births", ARRAY(Integer)),
    Column("ended", Integer),
    Column("replay", Text),  # what a repeat does with it; null: it gives it back
    Column("wait", JSONB),  # of a wait of the step: what for, since when, until when; null: a call
    Column("children_left", Integer),  # of a fan-out of the step: the join's counter
    # what is left of its reservation while it is under way
    required("held_tokens", BigInteger, "0"),
    required("held_usd", Numeric, "0"),
    # what was charged within it, whoever made it and however often
    required("tokens", BigInteger, "0"),
    required("usd", Numeric, "0"),
    Column("started_at", TIME, nullable=False, server_default=NOW),
    Column("finished_at", TIME),
    CheckConstraint("status IN ('started', 'completed', 'failed', 'cancelled')", name="status"),
    CheckConstraint("replay IN ('again', 'optional', 'tried')", name="replay"),
    CheckConstraint("(status = 'started') = (finished_at IS NULL)", name="finished"),
)

charges = Table(
    "charges",
    metadata,
    task_id(),
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
    Column("charged_at", TIME, nullable=False, server_default=NOW),
)

events = Table(
    "events",
    metadata,
    task_id(),
    Column("seq", BigInteger, primary_key=True),
    Column("type", Text, nullable=False),
    Column("data", JSONB),
    Column("at", TIME, nullable=False, server_default=NOW),
    Index("events_charged", "at", postgresql_where=text("type = 'charged'")),
)

logs = Table(
    "logs",
    metadata,
    task_id(),
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("at", TIME, nullable=False),
    Column("level", Text, nullable=False),
    Column("logger", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("step_number", Integer, nullable=False),
    Column("run", Integer, nullable=False),
)
