"""The pieces of SQL by which a task finds the pauses that hold for it, and how long they held."""

from typing import LiteralString

# What a pause names, as text of one column, so that one look at an index finds them all. A pause of an agent or a queue
# that is a tenant's own holds for that tenant's tasks only; the tenant's length keeps its name and the next apart.
_OF_TENANT: LiteralString = "'/' || length(tasks.tenant) || '/' || tasks.tenant || "
_ANCESTORS: LiteralString = """
    ARRAY(
        WITH RECURSIVE above AS (
            SELECT tasks.parent_id AS id
            UNION ALL
            SELECT parent.parent_id FROM above, LATERAL (
                SELECT parent_id FROM agent_tasks.tasks AS parent WHERE parent.id = above.id OFFSET 0) AS parent
            WHERE parent.parent_id IS NOT NULL
        )
        SELECT 'task:' || id FROM above
    )
"""
_TARGETS: LiteralString = f"""
    ARRAY['task:' || tasks.id, 'task:' || tasks.parent_id, 'task:' || tasks.root_id,
        'agent:' || tasks.agent, 'queue:' || tasks.queue]
    || CASE WHEN tasks.identity IS NOT NULL THEN ARRAY['tenant:' || tasks.tenant,
        'agent' || {_OF_TENANT}tasks.agent, 'queue' || {_OF_TENANT}tasks.queue] END
    || CASE WHEN tasks.depth > 2 THEN {_ANCESTORS} END
"""


def target_of(kind: str, name: str, tenant: str | None) -> str:
    """Return the target of a pause; `tenant`: of its tasks only, where an agent or a queue is paused."""
    if tenant is None or kind in ("task", "tenant"):
        return f"{kind}:{name}"
    return f"{kind}/{len(tenant)}/{tenant}{name}"


HOLDS: LiteralString = f"pauses.ended_at IS NULL AND pauses.target = ANY ({_TARGETS})"
"""The condition that one of `pauses` holds for one of `tasks`."""

PAUSED: LiteralString = f"""
    (EXISTS (SELECT FROM agent_tasks.pauses AS any_pause WHERE any_pause.ended_at IS NULL)
        AND EXISTS (SELECT FROM agent_tasks.pauses WHERE {HOLDS}))
"""
"""The condition that no step of a task is to be begun. Where nothing is paused it is one look at an empty index."""


def paused_seconds(since: LiteralString) -> LiteralString:
    """Return for how many seconds a task has been paused since a time, by however many pauses at once."""
    return f"""
    (CASE WHEN EXISTS (SELECT FROM agent_tasks.pauses AS any_pause) THEN (
        SELECT coalesce(extract(epoch FROM sum(upper(each) - lower(each))), 0) FROM (
            SELECT unnest(range_agg(tstzrange(greatest(pauses.began_at, begun.since),
                greatest(coalesce(pauses.ended_at, clock_timestamp()), pauses.began_at, begun.since)))) AS each
            FROM (SELECT {since} AS since) AS begun JOIN agent_tasks.pauses
                ON pauses.target = ANY ({_TARGETS}) AND (pauses.ended_at IS NULL OR pauses.ended_at > begun.since)
        ) AS whole
    ) ELSE 0 END)::float8
    """


_PUT_OFF: LiteralString = "make_interval(secs => 3e10)"
FAR: LiteralString = "clock_timestamp() + make_interval(secs => 1.5e10)"
"""A time that is later than any that a task waits for, and earlier than that of a task that was put off."""
PUT_OFF: LiteralString = f"due_at = tasks.due_at + CASE WHEN tasks.due_at < {FAR} THEN {_PUT_OFF} ELSE '0' END"
"""The column of a task that no sweep is to see while it is paused: its own time is still known."""
BACK: LiteralString = f"CASE WHEN tasks.due_at < {FAR} THEN tasks.due_at ELSE tasks.due_at - {_PUT_OFF} END"
"""The time of a task that may have been put off."""
BROUGHT_BACK: LiteralString = f"""
    put_off_by = NULL, due_at = CASE WHEN tasks.due_at > {FAR} AND tasks.status = 'pending' THEN clock_timestamp()
        ELSE {BACK} END
"""
"""The columns of one that a sweep is to see again: at once where it is pending, since its bell was taken."""


def waited_paused(wait: LiteralString, since: LiteralString) -> LiteralString:
    """Return for how many seconds a task was paused in a wait that began `since`, also on queues that it has left."""
    return f"""
    (coalesce(({wait} ->> 'settled')::float8, 0)
        + {paused_seconds(f"coalesce(({wait} ->> 'settled_at')::timestamptz, {since})")})
    """


def _since(wait: LiteralString) -> LiteralString:
    return f"({wait} ->> 'since')::timestamptz"


def settled(wait: LiteralString) -> LiteralString:
    """Return a wait whose pauses until now are summed up: its task is about to leave the queue where they held."""
    since: LiteralString = f"coalesce(({wait} ->> 'parked_at')::timestamptz, {_since(wait)})"
    return f"""
        (CASE WHEN {wait} ->> 'kind' IN ('signal', 'children') THEN {wait} || jsonb_build_object(
            'settled', {waited_paused(wait, since)}, 'settled_at', clock_timestamp()) ELSE {wait} END)
    """


def _movable(wait: LiteralString) -> LiteralString:
    return f"""
        {wait} ->> 'kind' IN ('signal', 'children') AND {wait} ->> 'until' IS NOT NULL
            AND coalesce(({wait} ->> 'moved')::float8, 0) < {waited_paused(wait, _since(wait))}
    """


MOVES_ALONE: LiteralString = _movable("tasks.waiting_for")
CALL_MOVES: LiteralString = _movable("calls.wait")
OPEN_CALLS: LiteralString = """
    calls.task_id = tasks.id AND calls.step_number = tasks.step_number AND calls.status = 'started'
        AND calls.wait IS NOT NULL
"""
MOVES: LiteralString = f"""
    (EXISTS (SELECT FROM agent_tasks.pauses AS any_pause) AND CASE WHEN tasks.waiting_for ? 'waits'
        THEN EXISTS (SELECT FROM agent_tasks.calls WHERE {OPEN_CALLS} AND {CALL_MOVES} OFFSET 0)
        ELSE {MOVES_ALONE} END)
"""
"""The condition that a time-out of a waiting task is later than its row says, since the task was paused meanwhile."""


def moved(wait: LiteralString) -> LiteralString:
    """Return a wait whose time-out is as much later as its task was paused since it began."""
    return f"""
        (SELECT {wait} || jsonb_build_object('moved', seconds, 'until', ({wait} ->> 'until')::timestamptz
            + make_interval(secs => seconds - coalesce(({wait} ->> 'moved')::float8, 0)))
        FROM (SELECT {waited_paused(wait, _since(wait))} AS seconds OFFSET 0) AS paused)
    """
