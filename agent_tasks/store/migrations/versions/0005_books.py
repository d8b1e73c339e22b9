"""The books of a task that has ended grow by what those below it still spend, and nothing stays reserved."""

from agent_tasks.store.migrations.verbatim import run

revision = "0005"
down_revision = "0004"

_GUARD = """
CREATE OR REPLACE FUNCTION agent_tasks_only_acknowledge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.sensitive AND NEW.input IS NULL AND to_jsonb(NEW) - 'input' = to_jsonb(OLD) - 'input' THEN
        RETURN NEW;
    END IF;
    {books}IF OLD.acknowledged_at IS NOT NULL
       OR to_jsonb(NEW) - 'acknowledged_at' - 'version'
           IS DISTINCT FROM to_jsonb(OLD) - 'acknowledged_at' - 'version' THEN
        RAISE EXCEPTION 'task % has ended as % and does not change any more', OLD.id, OLD.status
            USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$
"""
_BOOKS = """IF NEW.version > OLD.version
       AND NEW.spent_tokens >= OLD.spent_tokens AND NEW.spent_usd >= OLD.spent_usd
       AND NEW.spent_steps >= OLD.spent_steps AND NEW.spent_calls >= OLD.spent_calls
       AND (NEW.reserved_tokens, NEW.reserved_usd, NEW.reserved_steps, NEW.reserved_calls) = (0, 0, 0, 0)
       AND to_jsonb(NEW) - books = to_jsonb(OLD) - books
       AND EXISTS (SELECT FROM tasks WHERE parent_id = OLD.id) THEN
        RETURN NEW;
    END IF;
    """
_COLUMNS = """DECLARE
    books CONSTANT text[] := ARRAY['version', 'spent_tokens', 'spent_usd', 'spent_steps', 'spent_calls',
        'reserved_tokens', 'reserved_usd', 'reserved_steps', 'reserved_calls'];
BEGIN"""
_RELEASE = """
UPDATE tasks SET reserved_tokens = 0, reserved_usd = 0, reserved_steps = 0, reserved_calls = 0, version = version + 1
WHERE finished_at IS NOT NULL AND reserved_tokens + reserved_usd + reserved_steps + reserved_calls > 0
    AND EXISTS (SELECT FROM tasks AS child WHERE child.parent_id = tasks.id)
"""


def upgrade() -> None:
    run(_GUARD.format(books=_BOOKS).replace("BEGIN", _COLUMNS, 1))
    run(_RELEASE)


def downgrade() -> None:
    run(_GUARD.format(books=""))
