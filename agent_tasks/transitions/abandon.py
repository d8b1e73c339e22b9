"""pending → partial or failed: an orphan past its TTL is given up."""

from typing import LiteralString

from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.pausing import FAR, PAUSED, paused_seconds
from agent_tasks.store.rows import ENDED, LIVES, SNAPSHOT, Row
from agent_tasks.transitions.forget import forget
from agent_tasks.transitions.refuse import serves
from agent_tasks.transitions.watch import watch

WATCH = "orphans"


def _is_over(start: LiteralString) -> LiteralString:
    """The condition that a task's TTL has passed since `start`, but for the time for which it was paused since then."""
    return f"""({start} + make_interval(secs => tasks.ttl_seconds) < clock_timestamp()
        AND {start} + make_interval(secs => tasks.ttl_seconds + {paused_seconds(start)}) < clock_timestamp())"""


# Of a step that was given back only those count whose code has not done so.
_SEEN: LiteralString = f"{LIVES} OR NOT {_is_over('workers.seen_at')}"

_UNSERVED_SINCE: LiteralString = "greatest(tasks.pending_since, servers.seen_at, %(since)s)"
_REFUSED_SINCE: LiteralString = "greatest((tasks.refused ->> 'since')::timestamptz, %(since)s)"

_ABANDON = f"""
    WITH servers AS (
        SELECT queue, step, max(seen_at) AS seen_at, bool_or({LIVES}) AS lives
        FROM agent_tasks.workers, unnest(queues) AS queue, unnest(steps) AS step GROUP BY queue, step
    ), orphans AS (
        SELECT tasks.id FROM agent_tasks.tasks
            LEFT JOIN servers ON servers.queue = tasks.queue AND servers.step = tasks.agent || '.' || tasks.step
        WHERE status = 'pending' AND finished_at IS NULL AND due_at < {FAR} AND (
            servers.lives IS NOT TRUE AND {_is_over(_UNSERVED_SINCE)}
            OR refused IS NOT NULL AND {_is_over(_REFUSED_SINCE)}
                AND NOT {serves("tasks", "tasks.refused -> 'signatures'", _SEEN)})
            AND NOT {PAUSED}
        ORDER BY pending_since LIMIT %(limit)s FOR UPDATE OF tasks SKIP LOCKED
    ), changed AS (
        UPDATE agent_tasks.tasks SET
            status = CASE WHEN ending IS NOT NULL THEN ending ->> 'status'
                WHEN partial IS NULL OR sensitive THEN 'failed' ELSE 'partial' END,
            result = CASE WHEN ending IS NOT NULL THEN nullif(ending -> 'result', 'null'::jsonb) ELSE partial END,
            error = CASE WHEN ending IS NOT NULL THEN (ending -> 'error') || jsonb_build_object('details',
                coalesce(ending -> 'error' -> 'details', '{{}}'::jsonb) || jsonb_build_object(
                    'undone', ending -> 'undone',
                    'not_undone', (ending -> 'not_undone') || (
                        SELECT jsonb_agg(jsonb_build_object('step', c.step, 'step_number', c.step_number,
                            'error', 'no live worker has its code') ORDER BY c.step_number DESC)
                        FROM agent_tasks.checkpoints AS c
                        WHERE c.task_id = tasks.id AND c.undo AND c.step_number <= tasks.undo_step)))
            ELSE jsonb_build_object(
                'type', 'context_lost', 'retryable', false, 'retry_after', NULL,
                'suggested_action', CASE WHEN sensitive THEN 'escalate' ELSE 'resume' END,
                'message', format(CASE WHEN refused IS NULL
                    THEN 'No live worker serves step %%1$s.%%2$s on queue %%3$s, and for %%4$s seconds there was no '
                        'progress. Start a worker that loads this agent and takes from this queue%%6$s'
                    ELSE 'No worker''s code has taken step %%1$s.%%2$s as it was recorded for %%4$s seconds: %%5$s. '
                        'Deploy a release that takes it%%6$s' END,
                    agent, step, queue, round(ttl_seconds::numeric, 1), rtrim(refused ->> 'why', '.'),
                    CASE WHEN sensitive THEN '; the recorded state was purged: submit the task again.'
                         ELSE ', then resume the task.' END),
                'details', jsonb_build_object('step', step, 'queue', queue, 'ttl_seconds', ttl_seconds,
                    'crashes', crashes, 'purged', sensitive, 'refused', refused ->> 'why'),
                'checkpoint', CASE WHEN sensitive THEN NULL ELSE nullif(step_number, 0) END) END, {COUNTED}, {ENDED}
        WHERE id = ANY (ARRAY(SELECT id FROM orphans))
        RETURNING *
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


def abandon(connection: Connection, *, limit: int, lease_seconds: float, gap_seconds: float) -> list[Row]:
    """Give up the tasks that no live worker serves and that made no progress for their TTL.

    The TTL counts from when a worker that serves the step was last alive, and only while this sweep runs without
    a gap of `gap_seconds`, so that an outage of everything does not end the tasks that it interrupted. It stands while
    the task is paused. Where the agent is sensitive, what was recorded is purged. Within a transaction.
    """
    rows: list[Row] = connection.execute(
        _ABANDON,
        {
            "since": watch(connection, WATCH, gap_seconds=gap_seconds),
            "limit": limit,
            "lease_seconds": lease_seconds,
            **event_list([("expired", '{"orphan": true}'), ("finished", '{"error": "context_lost"}')]),
        },
    ).fetchall()
    forget(connection, [row["id"] for row in rows if row["sensitive"]])
    return rows
