"""Transitions on a real Postgres, with no worker: a task is brought to where a test needs it."""

from typing import Any
from uuid import UUID

from agent_tasks import AgentTasks
from agent_tasks.transitions.claim import Claim, claim

Row = dict[str, Any]
TABLES = ("checkpoints", "calls", "events")


def submitted(client: AgentTasks, **options: Any) -> UUID:
    return client.submit("echo", {"value": 1}, **options).id


def query(client: AgentTasks, sql: str, *values: Any) -> list[Row]:
    """The rows of a statement in plain SQL, which commits by itself."""
    with client.database.connection() as connection:
        cursor = connection.execute(sql, values)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description is not None else []


def row_of(client: AgentTasks, task_id: UUID) -> Row:
    return query(client, "SELECT * FROM tasks WHERE id = %s", task_id)[0]


def all_of(client: AgentTasks, task_id: UUID) -> dict[str, list[Row]]:
    """A task and its whole history, to compare with later."""
    found = {
        table: query(client, f"SELECT * FROM {table} WHERE task_id = %s ORDER BY 2, 3", task_id) for table in TABLES
    }
    return {"tasks": [row_of(client, task_id)], **found}


def try_claim(client: AgentTasks, task_id: UUID, worker: str = "w", **options: Any) -> Claim | None:
    row = row_of(client, task_id)
    values = {"worker": worker, "lease_seconds": 60, "poison_crashes": 3, **options}
    with client.database.connection() as connection:
        return claim(connection, task_id, row["step"], row["step_number"], **values)


def claimed(client: AgentTasks, task_id: UUID | None = None, **options: Any) -> Claim:
    taken = try_claim(client, task_id or submitted(client), **options)
    assert taken is not None
    return taken


def lapse(client: AgentTasks, task_id: UUID) -> None:
    """The lease was taken ten seconds ago, and is over."""
    query(
        client,
        "UPDATE tasks SET claimed_at = clock_timestamp() - interval '10 s', "
        "due_at = clock_timestamp() - interval '1 ms' WHERE id = %s",
        task_id,
    )


def fall_due(client: AgentTasks, task_id: UUID) -> None:
    query(client, "UPDATE tasks SET due_at = clock_timestamp() - interval '1 ms' WHERE id = %s", task_id)
