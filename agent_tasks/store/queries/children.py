"""No arrow: the children of a FanOut, as the step that joins them is handed them."""

from collections.abc import Sequence
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.authoring.handed import JoinedChildRow
from agent_tasks.store.database import Connection
from agent_tasks.store.rows import GIVEN_IDS
from agent_tasks.task.budget import Budget

_RESULT: LiteralString = "CASE WHEN tasks.finished_at IS NULL THEN tasks.ending -> 'result' ELSE tasks.result END"

# Of a resumed task, the children that completed under its forerunners count; the nearest one wins. Not where it
# has run the step that spawns them itself: then only its own do. (A copied checkpoint has run 0.)
_JOINED = f"""
    WITH RECURSIVE chain AS (
        SELECT id, resumed_from, 0 AS distance FROM agent_tasks.tasks WHERE id = %(id)s
        UNION ALL
        SELECT before.*, chain.distance + 1
        FROM chain, LATERAL (SELECT id, resumed_from FROM agent_tasks.tasks
            WHERE tasks.id = chain.resumed_from OFFSET 0) AS before
        WHERE EXISTS (SELECT FROM {{copied}})
    )
    SELECT DISTINCT ON (tasks.child_index) tasks.id, tasks.child_index, tasks.agent, tasks.status, tasks.error,
        tasks.ending - 'result' AS ending, tasks.finished_at,
        CASE WHEN coalesce(tasks.ending ->> 'status', tasks.status) = 'partial'
            THEN tasks.remaining END AS remaining,
        tasks.budget_seconds, tasks.budget_tokens,
        tasks.budget_usd::float8 AS budget_usd, tasks.budget_steps, tasks.budget_calls, tasks.spent_seconds,
        tasks.spent_tokens, least(tasks.spent_usd, 1e300)::float8 AS spent_usd, tasks.spent_steps, tasks.spent_calls,
        CASE WHEN tasks.finished_at IS NOT NULL AND pg_column_compression(tasks.result) IS NULL
                THEN coalesce(pg_column_size(tasks.result), 0)
            ELSE coalesce(octet_length(({_RESULT})::text), 0) END AS result_bytes
    FROM agent_tasks.tasks JOIN chain ON tasks.parent_id = chain.id
    WHERE tasks.parent_id = ANY (ARRAY(SELECT id FROM chain)) AND tasks.parent_step = %(parent_step)s
        AND tasks.parent_call {{of_call}}
    ORDER BY tasks.child_index, chain.distance, tasks.id DESC
"""
_JOINED_BY_STEP = _JOINED.format(
    copied="agent_tasks.checkpoints WHERE task_id = chain.id AND step_number = %(parent_step)s AND run = 0",
    of_call="IS NULL",
)
_JOINED_BY_CALL = _JOINED.format(
    copied="""agent_tasks.calls WHERE task_id = chain.id AND step_number = %(parent_step)s AND ordinal = %(call)s
        AND (run = 0 OR wait ? 'resumed')""",
    of_call="= %(call)s",
)

_RESULTS = f"SELECT tasks.id, {_RESULT} AS result FROM agent_tasks.tasks WHERE {GIVEN_IDS}"


class _ResultRow(TypedDict):
    id: UUID
    result: Any


_USAGE = """
    SELECT agent.name AS agent,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY past.spent_tokens) AS tokens,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY least(past.spent_usd, 1e300)::float8) AS usd,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY past.spent_steps) AS steps,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY past.spent_calls) AS calls
    FROM unnest(%(agents)s::text[]) AS agent (name), LATERAL (
        SELECT * FROM agent_tasks.tasks WHERE tasks.agent = agent.name AND status = 'completed'
        ORDER BY finished_at DESC LIMIT 200
    ) AS past
    GROUP BY agent.name
"""


class _UsageRow(TypedDict):
    agent: str
    tokens: float
    usd: float
    steps: float
    calls: float


_SENSITIVE = "SELECT agent FROM agent_tasks.tasks WHERE parent_id = %(id)s AND sensitive LIMIT 1"


def joined_children(connection: Connection, task_id: UUID, step_number: int) -> list[JoinedChildRow]:
    """The children that the step `step_number` of a task is handed, in the order of the FanOut.

    The rows are without results, which may be more than a process can hold, but have the size of each in bytes.
    """
    return connection.execute(_JOINED_BY_STEP, {"id": task_id, "parent_step": step_number - 1}).fetchall()


def called_children(connection: Connection, task_id: UUID, step_number: int, call: int) -> list[JoinedChildRow]:
    """The children that a call of the step `step_number` has spawned, in its order; the rows as `joined_children`."""
    values = {"id": task_id, "parent_step": step_number, "call": call}
    return connection.execute(_JOINED_BY_CALL, values).fetchall()


def sensitive_child(connection: Connection, task_id: UUID) -> str | None:
    """The agent of a sensitive child of this task, if it has any."""
    row = connection.execute(_SENSITIVE, {"id": task_id}).fetchone()
    return None if row is None else row["agent"]


def results(connection: Connection, children: Sequence[UUID]) -> dict[UUID, Any]:
    """The results of these children, by their ids."""
    rows: list[_ResultRow] = connection.execute(_RESULTS, {"ids": list(children)}).fetchall()
    return {row["id"]: row["result"] for row in rows}


def usage(connection: Connection, agents: list[str]) -> dict[str, Budget]:
    """The spend that 95 of 100 of an agent's latest completed tasks stayed within, by agent, where there are any."""
    rows: list[_UsageRow] = connection.execute(_USAGE, {"agents": sorted(set(agents))}).fetchall()
    return {row["agent"]: _seen(row) for row in rows}


def _seen(row: _UsageRow) -> Budget:
    whole: dict[str, Any] = {name: int(-(-row[name] // 1)) for name in ("tokens", "steps", "calls")}
    whole["usd"] = row["usd"]
    return Budget(**{name: amount for name, amount in whole.items() if amount > 0})
