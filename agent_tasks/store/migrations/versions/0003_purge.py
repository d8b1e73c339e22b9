"""The input of a sensitive task may be purged after its end, too."""

from agent_tasks.store.migrations.verbatim import run

revision = "0003"
down_revision = "0002"

_GUARD = """
CREATE OR REPLACE FUNCTION agent_tasks_only_acknowledge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {purge}IF OLD.acknowledged_at IS NOT NULL
       OR to_jsonb(NEW) - 'acknowledged_at' - 'version'
           IS DISTINCT FROM to_jsonb(OLD) - 'acknowledged_at' - 'version' THEN
        RAISE EXCEPTION 'task % has ended as % and does not change any more', OLD.id, OLD.status
            USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$
"""
_PURGE = """IF OLD.sensitive AND NEW.input IS NULL AND to_jsonb(NEW) - 'input' = to_jsonb(OLD) - 'input' THEN
        RETURN NEW;
    END IF;
    """


def upgrade() -> None:
    run(_GUARD.format(purge=_PURGE))


def downgrade() -> None:
    run(_GUARD.format(purge=""))
