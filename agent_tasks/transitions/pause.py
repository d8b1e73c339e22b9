"""No arrow: a pause begins, and ends; its tasks stay as they are."""

from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.queries.pauses import COLUMNS, PauseRow
from agent_tasks.transitions.audit import audited
from agent_tasks.transitions.put_off import keep_from_putting_off

_BEGIN = f"""
    WITH begun AS (
        INSERT INTO agent_tasks.pauses (kind, name, target, tenant, task_id, reason, by, by_operators)
        VALUES (%(kind)s, %(name)s, %(target)s, %(tenant)s, %(task_id)s, %(reason)s, %(by)s,
            %(by_operators)s)
        ON CONFLICT (target, by_operators) WHERE ended_at IS NULL DO NOTHING
        RETURNING *
    ), {audited("begun", task_id="begun.task_id")}
    SELECT {COLUMNS} FROM begun AS pauses
"""

_END = f"""
    WITH ended AS (
        UPDATE agent_tasks.pauses SET ended_at = greatest(clock_timestamp(), began_at)
        WHERE id = %(id)s AND ended_at IS NULL
        RETURNING *
    ), {audited("ended", task_id="ended.task_id")}
    SELECT {COLUMNS} FROM ended AS pauses
"""

_LIVING = f"SELECT {COLUMNS} FROM agent_tasks.pauses WHERE target = %s AND ended_at IS NULL ORDER BY by_operators"

# A task that ended while it was paused has nothing more to pause; what was below it goes on to its own end.
_OF_ENDED = """
    SELECT pauses.id FROM agent_tasks.pauses, LATERAL (
        SELECT FROM agent_tasks.tasks WHERE tasks.id = pauses.task_id AND tasks.finished_at IS NOT NULL OFFSET 0
    ) AS over
    WHERE pauses.ended_at IS NULL AND pauses.released_at IS NULL AND pauses.kind = 'task' ORDER BY pauses.id LIMIT %s
"""
_END_GIVEN = """
    UPDATE agent_tasks.pauses SET ended_at = greatest(clock_timestamp(), began_at)
    WHERE id = ANY (%s) AND ended_at IS NULL
"""

# How long a living task was paused is reckoned from these rows. The time of an id is that of who submitted it, whose
# clock may be a day wrong.
_PURGE = """
    DELETE FROM agent_tasks.pauses WHERE id = ANY (ARRAY(
        SELECT pauses.id FROM agent_tasks.pauses
        WHERE pauses.released_at < statement_timestamp() - make_interval(secs => %(seconds)s)
            AND pauses.ended_at < (
                SELECT coalesce(min(oldest.created_at), 'infinity') - interval '1 day'
                FROM unnest(ARRAY['pending', 'running', 'waiting']) AS living (status), LATERAL (
                    SELECT created_at FROM agent_tasks.tasks WHERE tasks.status = living.status ORDER BY id LIMIT 1
                ) AS oldest)
        ORDER BY pauses.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
"""


def begin(
    connection: Connection,
    kind: str,
    name: str,
    *,
    target: str,
    tenant: str | None,
    task_id: UUID | None,
    reason: str | None,
    by: str,
    by_operators: bool,
    entry: dict[str, str],
) -> PauseRow | None:
    """Begin a pause; None where the operators, or a tenant, have paused it already.

    `entry`: what the audit is told.
    """
    values = {"kind": kind, "name": name, "target": target, "tenant": tenant, "task_id": task_id}
    return connection.execute(
        _BEGIN, {**values, "reason": reason, "by": by, "by_operators": by_operators, **entry}
    ).fetchone()


def end(connection: Connection, pause_id: int, *, entry: dict[str, str]) -> PauseRow | None:
    """End a pause; None where it has ended. What was put off for it is brought back by the sweep."""
    with connection.transaction():
        keep_from_putting_off(connection)
        return connection.execute(_END, {"id": pause_id, **entry}).fetchone()


def end_of_ended(connection: Connection, *, limit: int) -> None:
    """End the pauses of tasks that have ended, at most `limit`."""
    if over := [row["id"] for row in connection.execute(_OF_ENDED, [limit], prepare=False)]:
        with connection.transaction():
            keep_from_putting_off(connection)
            connection.execute(_END_GIVEN, [over])


def purge(connection: Connection, *, limit: int, seconds: float) -> int:
    """Delete pauses that were over `seconds` ago and before any living task was submitted, at most `limit`."""
    return connection.execute(_PURGE, {"seconds": seconds, "limit": limit}, prepare=False).rowcount


def living(connection: Connection, target: str) -> list[PauseRow]:
    """Return the pauses of this target that hold, at most that of its tenant and then that of the operators."""
    return connection.execute(_LIVING, [target]).fetchall()
