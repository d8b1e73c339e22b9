"""No arrow: a pause begins, and ends; its tasks stay as they are."""

from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.queries.pauses import COLUMNS, PauseRow
from agent_tasks.transitions.audit import audited

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
    return connection.execute(_END, {"id": pause_id, **entry}).fetchone()


def living(connection: Connection, target: str) -> list[PauseRow]:
    """Return the pauses of this target that hold, at most that of its tenant and then that of the operators."""
    return connection.execute(_LIVING, [target]).fetchall()
