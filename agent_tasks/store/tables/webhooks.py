"""What is told to others: endpoints, the outbox, deliveries, and the lanes that they go by."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from agent_tasks.store.tables.schema import NOW, TIME, metadata, required, task_id
from agent_tasks.store.xid8 import Xid8

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Uuid, primary_key=True),
    required("tenant", Text, "''"),
    Column("name", Text, nullable=False),
    Column("subject", Text),  # whose tasks it is told of; null: all of the tenant's
    required("trusted", Boolean, "false"),  # a trusted program registered it: it is told of tasks without an identity
    Column("url", Text, nullable=False),
    Column("types", ARRAY(Text)),  # null: all
    Column("agents", ARRAY(Text)),  # null: all
    required("payload", Text, "'thin'"),
    required("ordered", Boolean, "true"),
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),  # signs, too, until `old_until`
    Column("old_until", TIME),
    Column("disabled_at", TIME),
    Column("disabled_why", Text),
    Column("created_at", TIME, nullable=False, server_default=NOW),
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
    required("tenant", Text, "''"),
    Column("subject", Text),
    Column("agent", Text),
    # of the task, as of the event
    Column("status", Text),
    Column("version", BigInteger),
    Column("data", JSONB),  # of the event; null where the task is sensitive
    Column("at", TIME, nullable=False, server_default=NOW),
    CheckConstraint("(task_id IS NULL) = (seq IS NULL)", name="event"),
    Index("outbox_event", "task_id", "seq", unique=True, postgresql_where=text("task_id IS NOT NULL")),
    Index("outbox_feed", "tenant", "xid", "id"),
    Index("outbox_at", "at"),
)

a2a_pushes = Table(  # whom A2A's clients want to be told of a task
    "a2a_pushes",
    metadata,
    task_id(),
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("token", Text),
    Column("scheme", Text),
    Column("credentials", Text),
    Column("created_at", TIME, nullable=False, server_default=NOW),
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
    required("tenant", Text, "''"),
    Column("subject", Text),
    Column("task_id", Uuid),
    Column("seq", BigInteger),
    Column("type", Text, nullable=False),
    required("ordered", Boolean, "true"),
    required("status", Text, "'pending'"),
    required("attempt", Integer, "0"),  # the fence: who ends an attempt names it
    required("given_back", Integer, "0"),  # attempts that were not made, or broken off, for reasons of the deployment
    # null: it is over, or waits for an earlier one of its task; of one that is being sent: when it is sent again
    Column("due_at", TIME, server_default=NOW),
    Column("answer", Integer),  # the status of the last answer
    Column("error", Text),
    Column("created_at", TIME, nullable=False, server_default=NOW),
    Column("last_at", TIME),
    Column("ended_at", TIME),
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
    Column("failing_since", TIME),
    Column("retry_at", TIME),
    Column("asked_until", TIME),  # until when the receiver has asked to be left alone
    Column("last_at", TIME, server_default=NOW, nullable=False),
)
