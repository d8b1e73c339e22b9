"""Whom A2A's clients want to be told of a task, and that the trigger tells them, as it tells callbacks."""

import sqlalchemy as sa
from alembic import op

from agent_tasks.store.migrations.verbatim import run

revision = "0034"
down_revision = "0033"

_S = "agent_tasks"

_TELL = """
CREATE OR REPLACE FUNCTION agent_tasks_tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    task record;
    told_as text;
    told bigint;
BEGIN
    SELECT tenant, identity ->> 'subject' AS subject, agent, status, version, callback_url, sensitive INTO task
    FROM agent_tasks.tasks WHERE id = NEW.task_id
        AND (callback_url IS NOT NULL OR EXISTS (
            SELECT FROM agent_tasks.webhooks WHERE webhooks.tenant = tasks.tenant)
            OR EXISTS (SELECT FROM agent_tasks.a2a_pushes WHERE a2a_pushes.task_id = tasks.id));
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
    IF NEW.type IN ('waiting', 'finished') THEN
        INSERT INTO agent_tasks.deliveries
            (outbox_id, lane, url, push_id, tenant, subject, task_id, seq, type, ordered)
        SELECT told,
            'origin:' || left(lower(coalesce(substring(pushes.url FROM '^[^/?#]*//[^/?#]*'), '')), 300)
                || '/' || task.tenant,
            pushes.url, pushes.id, task.tenant, task.subject, NEW.task_id, NEW.seq, told_as, true
        FROM agent_tasks.a2a_pushes AS pushes WHERE pushes.task_id = NEW.task_id;
    END IF;
    RETURN NULL;
END $$;
"""
_TOLD_BEFORE = """
CREATE OR REPLACE FUNCTION agent_tasks_tell() RETURNS trigger LANGUAGE plpgsql AS $$
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
"""


def upgrade() -> None:
    op.create_table(
        "a2a_pushes",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("token", sa.Text()),
        sa.Column("scheme", sa.Text()),
        sa.Column("credentials", sa.Text()),
        sa.Column(
            "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("task_id", "id", name=op.f("a2a_pushes_pkey")),
        sa.ForeignKeyConstraint(
            ["task_id"], [f"{_S}.tasks.id"], name=op.f("a2a_pushes_task_id_fkey"), ondelete="CASCADE"
        ),
        schema=_S,
    )
    op.add_column("deliveries", sa.Column("push_id", sa.Text()), schema=_S)
    run(_TELL)


def downgrade() -> None:
    run(_TOLD_BEFORE)
    op.drop_column("deliveries", "push_id", schema=_S)
    op.drop_table("a2a_pushes", schema=_S)
