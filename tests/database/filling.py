"""Tables as they are after a while: many single tasks that have ended, one parent of very many, and some of a few."""

from agent_tasks import AgentTasks
from tests.database import query
from tests.database.plans import LARGE

SINGLE = """
    INSERT INTO agent_tasks.tasks (id, agent, status, step, queue, root_id, lineage_id, ttl_seconds, input, result,
        error,
        spent_usd, finished_at, acknowledged_at, due_at, step_number, event_seq)
    SELECT id, 'agent' || n %% 7, status, 'echo', 'agents', id, id, 900, '{}', '1',
        CASE WHEN status <> 'completed' THEN '{"type": "step_failed", "message": "m"}'::jsonb END, 0.001,
        clock_timestamp() - n * interval '1 s', CASE WHEN n %% 10 = 0 THEN clock_timestamp() END, NULL, 1, 1
    FROM (SELECT n, gen_random_uuid() AS id,
            (ARRAY['completed', 'completed', 'completed', 'failed', 'cancelled', 'timeout', 'partial'])[1 + n %% 7]
                AS status
        FROM generate_series(1, %s) AS n) AS single
"""
# a root that still waits for its children, of whom all but the newest have ended
_TREE = """
    WITH root AS (
        INSERT INTO agent_tasks.tasks (id, agent, status, step, step_number, queue, root_id, lineage_id, ttl_seconds,
            input,
            waiting_for, children_left, event_seq)
        SELECT id, 'echo', 'waiting', 'echo', 1, 'agents', id, id, 900, '{}',
            jsonb_build_object('kind', 'children', 'since', now()), %(left)s, 1
        FROM (SELECT gen_random_uuid() AS id) AS new RETURNING id
    )
    INSERT INTO agent_tasks.tasks (id, agent, status, step, queue, root_id, lineage_id, parent_id, parent_step,
        child_index, depth,
        ttl_seconds, input, finished_at, due_at, event_seq)
    SELECT child, 'echo', CASE WHEN lives THEN 'pending' ELSE 'completed' END, 'echo', 'agents', root.id, child,
        root.id, 0, n, 1, 900, '{}', CASE WHEN NOT lives THEN clock_timestamp() END,
        CASE WHEN lives THEN clock_timestamp() + interval '1 d' END, 1
    FROM root, (SELECT n, n > %(children)s - %(left)s AS lives, gen_random_uuid() AS child
        FROM generate_series(1, %(children)s) AS n) AS children
    RETURNING parent_id
"""
_HISTORY = """
    INSERT INTO agent_tasks.events (task_id, seq, type) SELECT id, 1, 'submitted' FROM agent_tasks.tasks
        ON CONFLICT DO NOTHING;
    INSERT INTO agent_tasks.labels (key, value, task_id) SELECT 'a', '1', id FROM agent_tasks.tasks;
    INSERT INTO agent_tasks.events (task_id, seq, type, data) SELECT id, 0, 'charged', '{"tokens": 1, "usd": 0.1}'
        FROM agent_tasks.tasks WHERE finished_at IS NULL;
    INSERT INTO agent_tasks.checkpoints (task_id, step_number, step, run, seconds) SELECT id, 0, 'echo', 1, 0
        FROM agent_tasks.tasks;
    INSERT INTO agent_tasks.calls (task_id, step_number, ordinal, name, status, at_most_once, idempotency_key, run,
        finished_at)
        SELECT id, 0, 0, 'x', 'completed', false, 'k', 1, now() FROM agent_tasks.tasks;
    INSERT INTO agent_tasks.charges (task_id, step_number, fingerprint, branch, ended, tokens, usd, spent_tokens,
        spent_usd, run)
        SELECT id, 0, 'f', '', 1, 1, 0.001, 1, 0.001, 1 FROM agent_tasks.tasks;
    INSERT INTO agent_tasks.signals (task_id, name, consumed_step) SELECT id, 'go', 0 FROM agent_tasks.tasks
        WHERE finished_at IS NOT NULL;
    INSERT INTO agent_tasks.logs (task_id, at, level, logger, message, step, step_number, run)
        SELECT id, now(), 'info', 'acme', 'm', 'echo', 0, 1 FROM agent_tasks.tasks;
    INSERT INTO agent_tasks.hooks (task_id, step_number, fingerprint, url, made_by, run)
        SELECT id, 0, 'f', 'u', id, 1 FROM agent_tasks.tasks;
    INSERT INTO agent_tasks.idempotency_keys (tenant, subject, key, digest, task_id, expires_at)
        SELECT '', '', id::text, '', id, now() + interval '1 h' FROM agent_tasks.tasks
        WHERE finished_at IS NOT NULL;
    INSERT INTO agent_tasks.audit (door, origin, operation, task_id, answer)
        SELECT 'python', 'x@y', 'submit', id, 'accepted' FROM agent_tasks.tasks;
    INSERT INTO agent_tasks.outbox (task_id, seq, type, tenant)
        SELECT id, 1, 'task.submitted', 'acme' FROM agent_tasks.tasks;
    INSERT INTO agent_tasks.deliveries (outbox_id, webhook_id, lane, tenant, task_id, seq, type, status, due_at,
        ended_at)
        SELECT id, '00000000-0000-0000-0000-000000000001', 'webhook:1', tenant, task_id, seq, type,
            CASE WHEN ends THEN 'delivered' ELSE 'pending' END, CASE WHEN NOT ends THEN now() END,
            CASE WHEN ends THEN now() END
        FROM (SELECT *, id % 2 = 0 AS ends FROM agent_tasks.outbox) AS outbox
"""


def fill(client: AgentTasks, tasks: int, *, children: int) -> None:
    """So many tasks, and one parent of `children` children, half of whom live; none of the tables is analyzed."""
    with client.database.transaction() as connection:
        for table in LARGE:
            connection.execute(f"ALTER TABLE agent_tasks.{table} SET (autovacuum_enabled = false)")  # type: ignore[arg-type]
        connection.execute("SET LOCAL session_replication_role = replica")  # no look at the other table for each row
        connection.execute(SINGLE, [tasks])
        for count in (children, 3, 3):
            connection.execute(_TREE, {"children": count, "left": count // 2})
        for statement in _HISTORY.split(";"):
            connection.execute(statement)  # type: ignore[arg-type]


def largest_parent(client: AgentTasks) -> tuple[str, int]:
    """The parent of most children, and how many of them live."""
    (row,) = query(
        client,
        "SELECT id, children_left FROM agent_tasks.tasks WHERE status = 'waiting' AND parent_id IS NULL "
        "ORDER BY children_left DESC LIMIT 1",
    )
    return row["id"], row["children_left"]
