"""Tables as they are after months: finished and parked tasks with their checkpoints and events, in a few statements."""

from benchmarks.deployment import Deployment

CHECKPOINTS, EVENTS = 2, 7
"""Of each finished task: a chain of two steps."""
_CHUNK = 250_000

# Ids are UUIDv7 of the time of their task, so that the indexes are as they would have grown. Ended within the last
# six days, so that no retention is due.
_FINISHED = """
    INSERT INTO agent_tasks.tasks
        (id, agent, status, step, step_number, queue, root_id, lineage_id, ttl_seconds, tenant, identity, input, result,
         spent_seconds, spent_steps, run, attempt, version, event_seq, created_at, started_at, claimed_at, finished_at)
    SELECT id, 'loop', 'completed', 'spin', 2, 'agents', id, id, 900, tenant,
        jsonb_build_object('subject', 'ana', 'tenant', tenant, 'scopes', '[]'::jsonb),
        jsonb_build_object('steps', 2, 'topic', md5(id::text)), to_jsonb(repeat(md5(id::text), 4)),
        0.02, 2, 1, 1, 5, 7, at, at, at, at
    FROM (SELECT uuidv7(-age) AS id, now() - age AS at, 'tenant-' || n %% 100 AS tenant
          FROM (SELECT n, interval '6 days' * (1 - n::float8 / %(count)s) AS age
                FROM generate_series(1, %(count)s) AS n) AS ages) AS ended
"""
_PARKED = """
    INSERT INTO agent_tasks.tasks
        (id, agent, status, step, step_number, queue, root_id, lineage_id, ttl_seconds, input,
         spent_steps, run, version, event_seq, waiting_for, due_at)
    SELECT id, 'alarm', 'waiting', 'ring', 1, 'agents', id, id, 900, '{"seconds": 60}', 1, 1, 4, 5,
        jsonb_build_object('kind', 'timer', 'since', now(), 'until', due), due
    FROM (SELECT uuidv7() AS id, now() + interval '1 day' * (1 + random() * 60) AS due
          FROM generate_series(1, %(count)s)) AS parked
"""
_WAITING = """
    WITH parked AS (
        INSERT INTO agent_tasks.tasks
            (id, agent, status, step, step_number, queue, root_id, lineage_id, ttl_seconds, input,
             spent_steps, run, version, event_seq, waiting_for)
        SELECT id, {agent}, 'waiting', 'send', 1, 'agents', id, id, 900, state, 1, 1, 4, 5,
            '{{"kind": "signal", "names": ["stamped"], "mode": "any"}}'
        FROM (SELECT id, {state} AS state
              FROM (SELECT n, uuidv7() AS id FROM generate_series(1, %(count)s) AS n) AS ids) AS made
        RETURNING id, step, input
    )
    INSERT INTO agent_tasks.checkpoints (task_id, step_number, step, next_step, state, run, seconds)
    SELECT id, 0, 'write', step, input, 1, 0.01 FROM parked
"""
_MISFIT = """
    UPDATE agent_tasks.tasks SET step = 'sent'
    WHERE id IN (SELECT id FROM agent_tasks.tasks WHERE finished_at IS NULL LIMIT 10)
"""
_CHECKPOINTS = """
    INSERT INTO agent_tasks.checkpoints (task_id, step_number, step, next_step, state, run, seconds, committed_at)
    SELECT id, number, 'spin', CASE WHEN number < spent_steps - 1 THEN 'spin' END,
        jsonb_build_object('steps', 2 - number, 'draft', repeat(md5(id::text), 4)), 1, 0.01, created_at
    FROM agent_tasks.tasks, generate_series(0, spent_steps - 1) AS number WHERE NOT EXISTS (
        SELECT FROM agent_tasks.checkpoints WHERE task_id = tasks.id)
"""
_EVENTS = """
    INSERT INTO agent_tasks.events (task_id, seq, type, data, at)
    SELECT id, seq, (ARRAY['submitted', 'dispatched', 'claimed', 'committed', 'finished'])[1 + seq %% 5],
        jsonb_build_object('step', step, 'step_number', seq / 2, 'next', step), created_at
    FROM agent_tasks.tasks, generate_series(1, event_seq) AS seq WHERE NOT EXISTS (
        SELECT FROM agent_tasks.events WHERE task_id = tasks.id)
"""


def park(made: Deployment, count: int) -> None:
    """Tasks that wait for timers, the first of which is due in a day."""
    _fill(made, _PARKED, count)


def park_plain(made: Deployment, count: int) -> None:
    """Tasks of `postcard` that wait for a signal, each with other text in its state."""
    state = "jsonb_build_object('to', md5(id::text), 'copies', n)"
    _fill(made, _WAITING.format(agent="'postcard'", state=state), count)


def park_models(made: Deployment, count: int) -> None:
    """Tasks of `letter` that wait for a signal, each with another address in its state."""
    state = "jsonb_build_object('to', jsonb_build_object('street', md5(id::text), 'number', n), 'copies', n)"
    _fill(made, _WAITING.format(agent="'letter'", state=state), count)


def misfit(made: Deployment) -> None:
    """Have ten of the living tasks be at a step that there is not."""
    with made.client.database.connection() as connection:
        connection.execute(_MISFIT)


def finish(made: Deployment, count: int) -> None:
    """Tasks of two steps that have completed."""
    _fill(made, _FINISHED, count)


def _fill(made: Deployment, tasks: str, count: int) -> None:
    with made.client.database.connection() as connection:
        # Foreign keys hold by the way the rows are made; checking each would take longer than writing them.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET synchronous_commit = off")
        while count > 0:
            for statement in (tasks, _CHECKPOINTS, _EVENTS):
                connection.execute(statement, {"count": min(count, _CHUNK)})  # type: ignore[arg-type]
            count -= _CHUNK
        connection.execute("RESET session_replication_role")
        connection.execute("RESET synchronous_commit")
        connection.execute("VACUUM ANALYZE agent_tasks.tasks, agent_tasks.checkpoints, agent_tasks.events")
        connection.execute("CHECKPOINT")
