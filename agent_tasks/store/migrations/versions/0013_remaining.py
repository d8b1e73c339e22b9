"""What is left to do when a partial result is kept; purged with the rest."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from agent_tasks.store.migrations.verbatim import run

revision = "0013"
down_revision = "0012"

_TASKS = """
CREATE OR REPLACE FUNCTION agent_tasks_only_acknowledge() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    books CONSTANT text[] := ARRAY['version', 'spent_tokens', 'spent_usd', 'spent_steps', 'spent_calls',
        'reserved_tokens', 'reserved_usd', 'reserved_steps', 'reserved_calls'];
    recorded CONSTANT text[] := ARRAY['input', 'result', 'partial', {remaining}'progress', 'metadata', 'traceback',
        'ending'];
BEGIN
    IF OLD.sensitive AND to_jsonb(NEW) - recorded - 'error' = to_jsonb(OLD) - recorded - 'error'
       AND NOT EXISTS (SELECT FROM unnest(recorded) AS name
           WHERE to_jsonb(NEW) -> name NOT IN ('null', to_jsonb(OLD) -> name))
       AND (NEW.error IS NOT DISTINCT FROM OLD.error
           OR NEW.error -> 'type' = OLD.error -> 'type' AND NEW.error #> '{details,purged}' = 'true') THEN
        RETURN NEW;
    END IF;
    IF NEW.version > OLD.version
       AND NEW.spent_tokens >= OLD.spent_tokens AND NEW.spent_usd >= OLD.spent_usd
       AND NEW.spent_steps >= OLD.spent_steps AND NEW.spent_calls >= OLD.spent_calls
       AND (NEW.reserved_tokens, NEW.reserved_usd, NEW.reserved_steps, NEW.reserved_calls) = (0, 0, 0, 0)
       AND to_jsonb(NEW) - books = to_jsonb(OLD) - books
       AND EXISTS (SELECT FROM tasks WHERE parent_id = OLD.id) THEN
        RETURN NEW;
    END IF;
    IF OLD.acknowledged_at IS NOT NULL
       OR to_jsonb(NEW) - 'acknowledged_at' - 'version'
           IS DISTINCT FROM to_jsonb(OLD) - 'acknowledged_at' - 'version' THEN
        RAISE EXCEPTION 'task % has ended as % and does not change any more', OLD.id, OLD.status
            USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.add_column("tasks", sa.Column("remaining", postgresql.JSONB(), nullable=True))
    run(_TASKS.replace("{remaining}", "'remaining', "))


def downgrade() -> None:
    run(_TASKS.replace("{remaining}", ""))
    op.drop_column("tasks", "remaining")
