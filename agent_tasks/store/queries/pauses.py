"""No arrow: the pauses that hold, those that have ended, and those that hold for given tasks."""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.access import MAY_SEE, viewer
from agent_tasks.store.database import Connection
from agent_tasks.store.pausing import HOLDS
from agent_tasks.store.rows import GIVEN_IDS
from agent_tasks.task.arguments import LARGEST_BIGINT
from agent_tasks.task.identity import Identity

NEWEST = LARGEST_BIGINT
COLUMNS: LiteralString = "pauses.id, kind, name, pauses.tenant, task_id, reason, by, by_operators, began_at, ended_at"


class PauseRow(TypedDict):
    """A pause."""

    id: int
    kind: str
    name: str
    tenant: str | None
    task_id: UUID | None
    reason: str | None
    by: str
    by_operators: bool
    began_at: datetime
    ended_at: datetime | None


_LIST = f"""
    SELECT {COLUMNS} FROM agent_tasks.pauses
    WHERE pauses.id < %(after)s AND (%(ended)s OR pauses.ended_at IS NULL) AND (
        %(viewer)s::text IS NULL OR pauses.kind <> 'task' AND %(sees_all)s
            AND coalesce(pauses.tenant, CASE WHEN kind = 'tenant' THEN name END) = %(viewer_tenant)s
        OR pauses.kind = 'task' AND EXISTS (
            SELECT FROM agent_tasks.tasks WHERE tasks.id = pauses.task_id AND {MAY_SEE}))
    ORDER BY pauses.id DESC LIMIT %(limit)s
"""

OF_TASKS = f"""
    SELECT tasks.id AS paused_id, held.*
    FROM agent_tasks.tasks, LATERAL (
        SELECT kind, name, tenant, reason, by, by_operators, began_at FROM agent_tasks.pauses WHERE {HOLDS}
        ORDER BY pauses.id LIMIT 1
    ) AS held
    WHERE {GIVEN_IDS}
"""
"""The statement of `of_tasks`, whose parameter is `ids`: for a connection that is not ours."""


class PausedRow(TypedDict):
    """A task, and the first of the pauses that hold for it."""

    paused_id: UUID
    kind: str
    name: str
    tenant: str | None
    reason: str | None
    by: str
    by_operators: bool
    began_at: datetime


def listed(connection: Connection, *, ended: bool, after: int, limit: int, identity: Identity | None) -> list[PauseRow]:
    """The pauses with an id below `after`, the newest first: those that hold, and with `ended` all."""
    values = {"ended": ended, "after": after, "limit": limit, **viewer(identity)}
    return connection.execute(_LIST, values, prepare=False).fetchall()


# Of a task, the root: what is below a paused task is below its root.
_LIVING_TARGETS = """
    SELECT kind, CASE WHEN kind = 'task' THEN tasks.root_id::text ELSE pauses.name END AS name,
        CASE WHEN kind <> 'task' THEN pauses.tenant END AS tenant
    FROM agent_tasks.pauses LEFT JOIN agent_tasks.tasks ON tasks.id = pauses.task_id
    WHERE pauses.ended_at IS NULL LIMIT %s
"""


def living_targets(connection: Connection, *, limit: int) -> set[tuple[str, str, str | None]]:
    """What is paused: kind, name (of a task that of its root) and of which tenant alone; of at most `limit` pauses."""
    rows = connection.execute(_LIVING_TARGETS, [limit], prepare=False).fetchall()
    return {(row["kind"], row["name"], row["tenant"] if row["kind"] != "tenant" else None) for row in rows}


def any_hold(connection: Connection) -> bool:
    """Whether anything at all is paused."""
    return connection.execute("SELECT FROM agent_tasks.pauses WHERE ended_at IS NULL LIMIT 1").fetchone() is not None


def of_tasks(connection: Connection, task_ids: Sequence[UUID]) -> list[PausedRow]:
    """Those of these tasks that are paused, each with the first pause that holds for it."""
    return connection.execute(OF_TASKS, {"ids": list(task_ids)}, prepare=False).fetchall()
