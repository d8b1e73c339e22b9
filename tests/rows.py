"""What the tables say after a crash, for asserting on rows."""

from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from agent_tasks import AgentTasks


def query(client: AgentTasks, sql: str, *values: Any) -> list[dict[str, Any]]:
    with psycopg.connect(client.settings.database_url) as connection:
        return connection.cursor(row_factory=dict_row).execute(sql.encode(), list(values)).fetchall()


def checkpoints(client: AgentTasks, task_id: UUID) -> list[tuple[int, str]]:
    """(step number, step) of each committed step."""
    rows = query(client, "SELECT step_number, step FROM agent_tasks.checkpoints WHERE task_id = %s ORDER BY 1", task_id)
    return [(row["step_number"], row["step"]) for row in rows]


def runs(client: AgentTasks, task_id: UUID) -> list[int]:
    """The run that committed each step."""
    rows = query(client, "SELECT run FROM agent_tasks.checkpoints WHERE task_id = %s ORDER BY step_number", task_id)
    return [row["run"] for row in rows]


def events(client: AgentTasks, task_id: UUID, *types: str) -> list[dict[str, Any]]:
    """The history, or what of it has these types; it must be gap-free."""
    rows = query(client, "SELECT seq, type, data FROM agent_tasks.events WHERE task_id = %s ORDER BY seq", task_id)
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    return [row for row in rows if not types or row["type"] in types]


def task(client: AgentTasks, task_id: UUID) -> dict[str, Any]:
    return query(client, "SELECT * FROM agent_tasks.tasks WHERE id = %s", task_id)[0]


def calls(client: AgentTasks, task_id: UUID) -> list[dict[str, Any]]:
    return query(client, "SELECT * FROM agent_tasks.calls WHERE task_id = %s ORDER BY step_number, ordinal", task_id)


def is_paid(client: AgentTasks) -> bool:
    """Whether what came of a `relay`'s call is recorded: before that, a worker that dies leaves it to be repeated."""
    return bool(query(client, "SELECT FROM agent_tasks.calls WHERE name = 'pay' AND status = 'completed'"))


def assert_all_ran_once(client: AgentTasks, steps: int) -> None:
    """Every task completed, each of its steps committed once, and its history ends once."""
    rows = query(
        client,
        """
        SELECT status, step_number, (SELECT count(*) FROM agent_tasks.checkpoints WHERE task_id = id) AS committed,
            (SELECT count(*) FROM agent_tasks.events WHERE task_id = id AND type = 'finished') AS finished,
            (SELECT count(*) FROM agent_tasks.events WHERE task_id = id AND type = 'committed') AS committed_events,
            (SELECT max(seq) - count(*) FROM agent_tasks.events WHERE task_id = id) AS gap, count(*) AS tasks
        FROM agent_tasks.tasks GROUP BY 1, 2, 3, 4, 5, 6
        """,
    )
    assert [{k: v for k, v in row.items() if k != "tasks"} for row in rows] == [
        {
            "status": "completed",
            "step_number": steps,
            "committed": steps,
            "finished": 1,
            "committed_events": steps,
            "gap": 0,
        }
    ]
