"""Indexes by which tasks are searched, the labels that metadata is found by, and when was charged."""

import sqlalchemy as sa
from alembic import op

from agent_tasks.store.migrations.verbatim import run

revision = "0026"
down_revision = "0025"

_SKEWED = """
    ((created_at
        - to_timestamp(((('x' || translate("left"((id)::text, 13), '-', ''))::bit(48))::bigint)::float8 / 1000)
        ) NOT BETWEEN '-00:01:00'::interval AND '00:01:00'::interval)
"""
_ERROR_TEXT = (
    "to_tsvector('simple'::regconfig, (COALESCE(error ->> 'type'::text, ''::text) || ' '::text) || "
    "\"left\"(COALESCE(error ->> 'message'::text, ''::text), 4000))"
)

# A key or a value may be longer than an index takes, and keys may be very many.
_LABELS = """
CREATE FUNCTION agent_tasks_label() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM agent_tasks.labels WHERE task_id = NEW.id;
    END IF;
    IF jsonb_typeof(NEW.metadata) = 'object' THEN
        INSERT INTO agent_tasks.labels (key, value, task_id)
        SELECT "left"(pair.key, 128), "left"(pair.value, 256), NEW.id
        FROM (SELECT * FROM jsonb_each_text(NEW.metadata) LIMIT 64) AS pair WHERE pair.value IS NOT NULL
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tasks_labelled AFTER INSERT ON agent_tasks.tasks FOR EACH ROW
    WHEN (NEW.metadata IS NOT NULL) EXECUTE FUNCTION agent_tasks_label();
CREATE TRIGGER tasks_relabelled AFTER UPDATE OF metadata ON agent_tasks.tasks FOR EACH ROW
    WHEN (OLD.metadata IS DISTINCT FROM NEW.metadata) EXECUTE FUNCTION agent_tasks_label();
INSERT INTO agent_tasks.labels (key, value, task_id)
SELECT "left"(pair.key, 128), "left"(pair.value, 256), tasks.id
FROM agent_tasks.tasks, LATERAL (SELECT * FROM jsonb_each_text(
    CASE WHEN jsonb_typeof(metadata) = 'object' THEN metadata ELSE '{}' END) LIMIT 64) AS pair
WHERE metadata IS NOT NULL AND pair.value IS NOT NULL
ON CONFLICT DO NOTHING;
"""


def upgrade() -> None:
    op.create_table(
        "labels",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["agent_tasks.tasks.id"], name=op.f("labels_task_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", "value", "task_id", name=op.f("labels_pkey")),
    )
    op.create_index("labels_task", "labels", ["task_id"])
    run(_LABELS)
    for column in ("agent", "step", "queue", "status"):
        op.create_index(f"tasks_by_{column}", "tasks", [column, "id"])
    op.create_index(
        "tasks_by_end",
        "tasks",
        [sa.text("finished_at DESC NULLS LAST"), sa.text("id DESC")],
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_index(
        "tasks_by_error", "tasks", [sa.text("(error ->> 'type')"), "id"], postgresql_where=sa.text("error IS NOT NULL")
    )
    op.create_index("tasks_with_errors", "tasks", ["id"], postgresql_where=sa.text("error IS NOT NULL"))
    op.create_index(
        "tasks_error_words", "tasks", [sa.text(_ERROR_TEXT)], postgresql_using="gin",
        postgresql_where=sa.text("(error ->> 'message') IS NOT NULL"),
    )  # fmt: skip
    op.create_index("tasks_skewed", "tasks", ["created_at", "id"], postgresql_where=sa.text(_SKEWED))
    op.drop_index("tasks_subject", "tasks")
    op.create_index(  # also where no tenant is named
        "tasks_subject",
        "tasks",
        [sa.text("(identity ->> 'subject')"), "tenant", "id"],
        postgresql_where=sa.text("identity IS NOT NULL"),
    )
    op.create_index("events_charged", "events", ["at"], postgresql_where=sa.text("type = 'charged'"))


def downgrade() -> None:
    op.drop_index("events_charged", "events")
    op.drop_index("tasks_subject", "tasks")
    op.create_index(
        "tasks_subject",
        "tasks",
        ["tenant", sa.text("(identity ->> 'subject')"), "id"],
        postgresql_where=sa.text("identity IS NOT NULL"),
    )
    for name in (
        "tasks_skewed", "tasks_error_words", "tasks_with_errors", "tasks_by_error", "tasks_by_end", "tasks_by_status",
        "tasks_by_queue", "tasks_by_step", "tasks_by_agent",
    ):  # fmt: skip
        op.drop_index(name, "tasks")
    run("DROP TRIGGER tasks_relabelled ON agent_tasks.tasks; DROP TRIGGER tasks_labelled ON agent_tasks.tasks;")
    run("DROP FUNCTION agent_tasks_label();")
    op.drop_table("labels")
