"""The guards name the schema of the tables they look into: they run under the search path of whoever writes."""

from agent_tasks.store.migrations.verbatim import run

revision = "0014"
down_revision = "0013"

_REPLACE = """
DO $replace$
DECLARE
    guard regprocedure;
BEGIN
    FOREACH guard IN ARRAY ARRAY['agent_tasks_only_acknowledge()', 'agent_tasks_only_purge()']::regprocedure[] LOOP
        ASSERT pg_get_functiondef(guard) LIKE '%{old}%', guard || ' looks into no table';
        EXECUTE replace(pg_get_functiondef(guard), '{old}', '{new}');
    END LOOP;
END $replace$
"""


def upgrade() -> None:
    run(_REPLACE.format(old=" FROM tasks ", new=" FROM agent_tasks.tasks "))


def downgrade() -> None:
    run(_REPLACE.format(old=" FROM agent_tasks.tasks ", new=" FROM tasks "))
