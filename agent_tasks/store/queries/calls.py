"""No arrow: reading the recorded calls of tasks, and what they have cost."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection

SHOWN = 5
"""The costliest names that are shown of each task."""


class CallRow(TypedDict):
    """A recorded call."""

    step_number: int
    ordinal: int
    name: str
    status: str
    attempts: int
    tokens: int
    usd: float
    started_at: datetime
    finished_at: datetime | None


class CostRow(TypedDict):
    """What a task's calls of one name have cost."""

    task_id: UUID
    name: str
    calls: int
    tokens: int
    usd: float


_CALLS = """
    SELECT step_number, ordinal, name, status, attempts, tokens, least(usd, 1e300)::float8 AS usd, started_at,
        finished_at
    FROM agent_tasks.calls
    WHERE task_id = %(id)s AND (step_number, ordinal) > (%(step_number)s::int, %(ordinal)s::int)
    ORDER BY step_number, ordinal LIMIT %(limit)s
"""

_COSTS = """
    SELECT of_task.* FROM unnest(%(ids)b::uuid[]) AS task (id), LATERAL (
        SELECT task_id, name, count(*) AS calls, least(sum(tokens), 9223372036854775807)::bigint AS tokens,
            least(sum(usd), 1e300)::float8 AS usd
        FROM agent_tasks.calls WHERE task_id = task.id AND (tokens > 0 OR usd > 0)
        GROUP BY task_id, name ORDER BY sum(usd) DESC, sum(tokens) DESC, name LIMIT %(shown)s
    ) AS of_task
"""

_FIRST = (-(2**31), -1)


def calls(connection: Connection, task_id: UUID, after: tuple[int, int] | None, limit: int) -> list[CallRow]:
    """The first calls of a task after a step number and an ordinal."""
    step_number, ordinal = after or _FIRST
    values = {"id": task_id, "step_number": step_number, "ordinal": ordinal, "limit": limit}
    return connection.execute(_CALLS, values).fetchall()


def costs(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, list[CostRow]]:
    """What the calls of these tasks have cost, by task: the costliest names first."""
    rows: list[CostRow] = connection.execute(_COSTS, {"ids": list(ids), "shown": SHOWN}).fetchall()
    found: dict[UUID, list[CostRow]] = defaultdict(list)
    for row in rows:
        found[row["task_id"]].append(row)
    return found
