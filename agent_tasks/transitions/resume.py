"""terminal → a new pending task: it starts at the old one's checkpoint, with the calls recorded since."""

from uuid import UUID

from agent_tasks.budgets import RESOURCES, Budget
from agent_tasks.database import Connection
from agent_tasks.transitions.rows import SNAPSHOT, Row

_RESUME = f"""
    WITH old AS (
        SELECT * FROM tasks WHERE id = %(old)s AND finished_at IS NOT NULL
    ), copied AS (
        INSERT INTO tasks (
            id, agent, status, step, step_number, queue, priority, root_id, lineage_id, resumed_from, tenant,
            identity, session_id, metadata, callback_url, sensitive, ttl_seconds, input, partial, progress,
            budget_seconds, budget_tokens, budget_usd, budget_steps, budget_calls, event_seq, due_at)
        SELECT %(id)s, agent, 'pending', step, step_number, queue, priority, %(id)s, lineage_id, id, tenant,
            identity, session_id, metadata, callback_url, sensitive, ttl_seconds, input, partial, progress,
            %(seconds)s, %(tokens)s, %(usd)s::float8::numeric, %(steps)s, %(calls)s, 2,
            clock_timestamp() + make_interval(secs => %(ring_seconds)s)
        FROM old
        RETURNING *
    ), checkpoints_copied AS (
        INSERT INTO checkpoints (task_id, step_number, step, next_step, state, run, seconds, committed_at)
        SELECT %(id)s, c.step_number, c.step, c.next_step, c.state, 0, c.seconds, c.committed_at
        FROM checkpoints AS c JOIN copied ON c.task_id = %(old)s AND c.step_number < copied.step_number
    ), calls_copied AS (
        INSERT INTO calls (task_id, step_number, ordinal, name, status, at_most_once, idempotency_key, outcome, run,
            attempts, started_at, finished_at)
        SELECT %(id)s, c.step_number, c.ordinal, c.name, c.status, c.at_most_once, c.idempotency_key, c.outcome, 0,
            c.attempts, c.started_at, c.finished_at
        FROM calls AS c JOIN copied ON c.task_id = %(old)s AND c.step_number >= copied.step_number
    ), events_added AS (
        INSERT INTO events (task_id, seq, type, data)
        SELECT id, 1, 'resumed', jsonb_build_object('from', resumed_from, 'step', step, 'step_number', step_number)
        FROM copied
        UNION ALL
        SELECT id, 2, 'dispatched', jsonb_build_object('step', step, 'queue', queue) FROM copied
    )
    SELECT {SNAPSHOT} FROM copied AS tasks
"""


def resume(connection: Connection, old: UUID, new: UUID, *, budget: Budget, ring_seconds: float) -> Row | None:
    """Accept `new` as the continuation of `old`, which stays as it is; None where `old` has not ended."""
    amounts = {name: getattr(budget, name) for name in RESOURCES}
    return connection.execute(_RESUME, {"old": old, "id": new, "ring_seconds": ring_seconds, **amounts}).fetchone()
