"""The guard of ended tasks looks first whether one is acknowledged and no more, without making JSON of its row."""

from agent_tasks.store.migrations.verbatim import run

revision = "0037"
down_revision = "0036"

_GUARD = """
CREATE OR REPLACE FUNCTION agent_tasks.agent_tasks_only_acknowledge() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    books CONSTANT text[] := ARRAY['version', 'spent_tokens', 'spent_usd', 'spent_steps', 'spent_calls',
        'reserved_tokens', 'reserved_usd', 'reserved_steps', 'reserved_calls'];
    recorded CONSTANT text[] := ARRAY['input', 'result', 'partial', 'remaining', 'progress', 'metadata', 'traceback',
        'ending'];
{declared}BEGIN
{quick}    IF OLD.sensitive AND to_jsonb(NEW) - recorded - 'error' = to_jsonb(OLD) - recorded - 'error'
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
       AND EXISTS (SELECT FROM agent_tasks.tasks WHERE parent_id = OLD.id) THEN
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
_DECLARED = """    acknowledged agent_tasks.tasks%ROWTYPE;
"""
# `*=`: byte by byte; what differs in bytes alone is looked at below, as all else.
_QUICK = """    IF OLD.acknowledged_at IS NULL AND NEW.acknowledged_at IS NOT NULL THEN
        acknowledged := OLD;
        acknowledged.acknowledged_at := NEW.acknowledged_at;
        acknowledged.version := NEW.version;
        IF acknowledged *= NEW THEN
            RETURN NEW;
        END IF;
    END IF;
"""


def upgrade() -> None:
    run(_GUARD.replace("{declared}", _DECLARED).replace("{quick}", _QUICK))


def downgrade() -> None:
    run(_GUARD.replace("{declared}", "").replace("{quick}", ""))
