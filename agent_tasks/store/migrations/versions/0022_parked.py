"""Signals for a parked step, which a release from before such steps would hand over without its wait."""

from alembic import op

revision = "0022"
down_revision = "0021"

# It wakes the task, as for a wait between steps, and the step takes the signal from the inbox itself.
_LEFT = """
CREATE FUNCTION agent_tasks.agent_tasks_left_to_the_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM agent_tasks.tasks WHERE id = NEW.task_id AND status = 'waiting' AND waiting_for ? 'waits'
    ) THEN
        NEW.consumed_step = NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER signals_left_to_the_step BEFORE UPDATE OF consumed_step ON agent_tasks.signals FOR EACH ROW
    WHEN (OLD.consumed_step IS NULL AND NEW.consumed_step >= 0 AND NEW.consumed_call IS NULL)
    EXECUTE FUNCTION agent_tasks.agent_tasks_left_to_the_step();
"""


def upgrade() -> None:
    op.execute(_LEFT)


def downgrade() -> None:
    op.execute("DROP TRIGGER signals_left_to_the_step ON agent_tasks.signals")
    op.execute("DROP FUNCTION agent_tasks.agent_tasks_left_to_the_step")
