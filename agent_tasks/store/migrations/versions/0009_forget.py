"""All that a sensitive task has recorded may be purged after its end, also from its history."""

from agent_tasks.store.migrations.verbatim import run

revision = "0009"
down_revision = "0008"

_TASKS = """
CREATE OR REPLACE FUNCTION agent_tasks_only_acknowledge() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    books CONSTANT text[] := ARRAY['version', 'spent_tokens', 'spent_usd', 'spent_steps', 'spent_calls',
        'reserved_tokens', 'reserved_usd', 'reserved_steps', 'reserved_calls'];
    {columns}
BEGIN
    {purge}
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
_COLUMNS = """recorded CONSTANT text[] := ARRAY['input', 'result', 'partial', 'progress', 'metadata', 'traceback',
        'ending'];"""
_PURGE = """IF OLD.sensitive AND to_jsonb(NEW) - recorded - 'error' = to_jsonb(OLD) - recorded - 'error'
       AND NOT EXISTS (SELECT FROM unnest(recorded) AS name
           WHERE to_jsonb(NEW) -> name NOT IN ('null', to_jsonb(OLD) -> name))
       AND (NEW.error IS NOT DISTINCT FROM OLD.error
           OR NEW.error -> 'type' = OLD.error -> 'type' AND NEW.error #> '{details,purged}' = 'true') THEN
        RETURN NEW;
    END IF;"""
_OLD_PURGE = """IF OLD.sensitive AND NEW.input IS NULL AND to_jsonb(NEW) - 'input' = to_jsonb(OLD) - 'input' THEN
        RETURN NEW;
    END IF;"""
_EVENTS = """
CREATE OR REPLACE FUNCTION agent_tasks_only_purge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.data IS NULL AND to_jsonb(NEW) - 'data' = to_jsonb(OLD) - 'data'
       AND EXISTS (SELECT FROM tasks WHERE id = OLD.task_id AND sensitive) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'events are append-only' USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME;
END $$;
CREATE OR REPLACE TRIGGER events_append_only BEFORE UPDATE ON events FOR EACH ROW
    EXECUTE FUNCTION agent_tasks_only_purge();
"""
_OLD_EVENTS = """
CREATE OR REPLACE TRIGGER events_append_only BEFORE UPDATE ON events FOR EACH ROW
    EXECUTE FUNCTION agent_tasks_refuse('events are append-only');
DROP FUNCTION agent_tasks_only_purge;
"""


def upgrade() -> None:
    run(_TASKS.replace("{columns}", _COLUMNS).replace("{purge}", _PURGE))
    run(_EVENTS)


def downgrade() -> None:
    run(_TASKS.replace("{columns}", "").replace("{purge}", _OLD_PURGE))
    run(_OLD_EVENTS)
