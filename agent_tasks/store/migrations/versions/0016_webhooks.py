"""Webhooks: endpoints, the outbox that the history of tasks is told by, and what is delivered to whom."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from agent_tasks.store.migrations.verbatim import run
from agent_tasks.store.xid8 import Xid8

revision = "0016"
down_revision = "0015"

_TIME = sa.TIMESTAMP(timezone=True)
_NOW = sa.text("clock_timestamp()")

# Where a tenant has no endpoint and the task no callback, this look is all an event costs. Names of ctx.emit may be
# any, so what of the system's is not told is named. A tenant's callbacks to one origin share a lane.
_TELL = """
CREATE FUNCTION agent_tasks_tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    task record;
    told_as text;
    told bigint;
BEGIN
    SELECT tenant, identity ->> 'subject' AS subject, agent, status, version, callback_url, sensitive INTO task
    FROM agent_tasks.tasks WHERE id = NEW.task_id
        AND (callback_url IS NOT NULL OR EXISTS (
            SELECT FROM agent_tasks.webhooks WHERE webhooks.tenant = tasks.tenant));
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    told_as := CASE WHEN NEW.type IN ('submitted', 'resumed') THEN 'task.submitted'
                    WHEN NEW.type = 'waiting' THEN 'task.waiting'
                    WHEN NEW.type = 'finished' THEN 'task.' || task.status
                    ELSE NEW.type END;
    INSERT INTO agent_tasks.outbox (task_id, seq, type, tenant, subject, agent, status, version, data, at)
    VALUES (NEW.task_id, NEW.seq, told_as, task.tenant, task.subject, task.agent, task.status, task.version,
        CASE WHEN NOT task.sensitive THEN NEW.data END, NEW.at)
    RETURNING id INTO told;
    INSERT INTO agent_tasks.deliveries (outbox_id, webhook_id, lane, url, tenant, subject, task_id, seq, type, ordered)
    SELECT told, id, 'webhook:' || id, NULL, task.tenant, task.subject, NEW.task_id, NEW.seq, told_as, ordered
    FROM agent_tasks.webhooks
    WHERE tenant = task.tenant AND disabled_at IS NULL
        AND (subject = task.subject OR subject IS NULL AND (trusted OR task.subject IS NOT NULL))
        AND (types IS NULL OR told_as = ANY (types)) AND (agents IS NULL OR task.agent = ANY (agents));
    IF task.callback_url IS NOT NULL AND NEW.type IN ('waiting', 'finished') THEN
        INSERT INTO agent_tasks.deliveries (outbox_id, lane, url, tenant, subject, task_id, seq, type, ordered)
        VALUES (told,
            'origin:' || left(lower(coalesce(substring(task.callback_url FROM '^[^/?#]*//[^/?#]*'), '')), 300)
                || '/' || task.tenant,
            task.callback_url, task.tenant, task.subject, NEW.task_id, NEW.seq, told_as, true);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER events_told AFTER INSERT ON agent_tasks.events FOR EACH ROW
    WHEN (NEW.type NOT IN ('dispatched', 'claimed', 'committed', 'charged', 'budget_low', 'partial', 'signalled',
            'signal_refused', 'spawned', 'joined', 'undoing', 'undone', 'not_undone', 'retried', 'released', 'expired')
        AND (NEW.type <> 'waiting' OR NEW.data ->> 'kind' IN ('signal', 'timer')))
    EXECUTE FUNCTION agent_tasks_tell();
"""


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("trusted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("types", sa.ARRAY(sa.Text())),
        sa.Column("agents", sa.ARRAY(sa.Text())),
        sa.Column("payload", sa.Text(), server_default=sa.text("'thin'"), nullable=False),
        sa.Column("ordered", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("old_secret", sa.Text()),
        sa.Column("old_until", _TIME),
        sa.Column("disabled_at", _TIME),
        sa.Column("disabled_why", sa.Text()),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("webhooks_pkey")),
        sa.CheckConstraint("payload IN ('thin', 'full')", name=op.f("webhooks_payload")),
        sa.CheckConstraint("disabled_why IN ('asked', 'gone', 'failing')", name=op.f("webhooks_why")),
        sa.CheckConstraint("(disabled_at IS NULL) = (disabled_why IS NULL)", name=op.f("webhooks_disabled")),
        sa.CheckConstraint("(old_secret IS NULL) = (old_until IS NULL)", name=op.f("webhooks_rotating")),
    )
    op.create_index("webhooks_name", "webhooks", ["tenant", "name"], unique=True)
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("task_id", sa.Uuid()),
        sa.Column("seq", sa.BigInteger()),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("agent", sa.Text()),
        sa.Column("status", sa.Text()),
        sa.Column("version", sa.BigInteger()),
        sa.Column("data", JSONB()),
        sa.Column("at", _TIME, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("outbox_pkey")),
        sa.CheckConstraint("(task_id IS NULL) = (seq IS NULL)", name=op.f("outbox_event")),
    )
    op.create_index(
        "outbox_event", "outbox", ["task_id", "seq"], unique=True, postgresql_where=sa.text("task_id IS NOT NULL")
    )
    op.create_index("outbox_feed", "outbox", ["tenant", "xid", "id"])
    op.create_index("outbox_at", "outbox", ["at"])
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("outbox_id", sa.BigInteger(), nullable=False),
        sa.Column("webhook_id", sa.Uuid()),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("url", sa.Text()),
        sa.Column("tenant", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("task_id", sa.Uuid()),
        sa.Column("seq", sa.BigInteger()),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("ordered", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("given_back", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", _TIME, server_default=_NOW),
        sa.Column("answer", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("last_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.PrimaryKeyConstraint("id", name=op.f("deliveries_pkey")),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'failed', 'dropped')", name=op.f("deliveries_status")),
        sa.CheckConstraint("(status = 'pending') = (ended_at IS NULL)", name=op.f("deliveries_ended")),
        sa.CheckConstraint("due_at IS NULL OR status = 'pending'", name=op.f("deliveries_due")),
        sa.CheckConstraint("(webhook_id IS NULL) = (url IS NOT NULL)", name=op.f("deliveries_target")),
        sa.CheckConstraint("(task_id IS NULL) = (seq IS NULL)", name=op.f("deliveries_event")),
    )
    op.create_index("deliveries_due", "deliveries", ["lane", "due_at"], postgresql_where=sa.text("due_at IS NOT NULL"))
    op.create_index(
        "deliveries_order", "deliveries", ["lane", "task_id", "seq"], postgresql_where=sa.text("status = 'pending'")
    )
    op.create_index("deliveries_outbox", "deliveries", ["outbox_id"])
    op.create_index("deliveries_tenant", "deliveries", ["tenant", "created_at", "id"])
    op.create_index("deliveries_webhook", "deliveries", ["webhook_id", "created_at", "id"])
    op.create_index("deliveries_task", "deliveries", ["task_id", "created_at", "id"])
    op.create_table(
        "lanes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", _TIME),
        sa.Column("retry_at", _TIME),
        sa.Column("asked_until", _TIME),
        sa.Column("last_at", _TIME, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("lanes_pkey")),
    )
    run(_TELL)


def downgrade() -> None:
    run("DROP TRIGGER events_told ON agent_tasks.events; DROP FUNCTION agent_tasks_tell()")
    for table in ("lanes", "deliveries", "outbox", "webhooks"):
        op.drop_table(table)
