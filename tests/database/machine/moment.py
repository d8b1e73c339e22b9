"""All that Postgres and Redis say at one moment, and the clock that is not the client's."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from agent_tasks import AgentTasks, TaskSnapshot
from agent_tasks.doorbell.lists import OURS
from agent_tasks.doorbell.mirror import key
from tests.database import Row, query

AHEAD = timedelta(days=400)
"""How far the database's clock is ahead of the client's."""
ORDER = {
    "tasks": "id",
    "checkpoints": "task_id, step_number",
    "calls": "task_id, step_number, ordinal",
    "events": "task_id, seq",
    "signals": "seq",
}


def set_clock_ahead(client: AgentTasks) -> None:
    """From here on the clock of this database is AHEAD of every other clock."""
    query(client, "CREATE SCHEMA ahead")
    for name, kind in (("clock_timestamp", "VOLATILE"), ("statement_timestamp", "STABLE")):
        query(
            client,
            f"CREATE FUNCTION ahead.{name}() RETURNS timestamptz LANGUAGE sql {kind} "
            f"RETURN pg_catalog.{name}() + interval '{AHEAD.days} days'",
        )
    columns = "SELECT table_name, column_name FROM information_schema.columns WHERE column_default ~ 'clock'"
    for row in query(client, columns):
        column = f"ALTER TABLE agent_tasks.{row['table_name']} ALTER COLUMN {row['column_name']}"
        query(client, f"{column} SET DEFAULT ahead.clock_timestamp()")
    (here,) = query(client, "SELECT current_database() AS name")
    query(client, f"ALTER DATABASE {here['name']} SET search_path = ahead, pg_catalog, public")
    client.database.close()


@dataclass
class Moment:
    """All that Postgres and Redis say, between two moves."""

    tables: dict[str, list[Row]]
    mirrors: dict[UUID, tuple[int, TaskSnapshot | None]]
    tasks: dict[UUID, Row] = field(init=False)

    def __post_init__(self) -> None:
        self.tasks = {row["id"]: row for row in self.tables["tasks"]}

    @classmethod
    def now(cls, client: AgentTasks) -> "Moment":
        with client.database.connection() as connection:
            tables = {
                name: connection.execute(f"SELECT *, xmin::text FROM agent_tasks.{name} ORDER BY {order}").fetchall()
                for name, order in ORDER.items()
            }
        ids = [row["id"] for row in tables["tasks"]]
        with client.redis.pipeline(transaction=False) as pipeline:
            for task_id in ids:
                pipeline.hmget(key(task_id), "version", "snapshot")
            found: list[Any] = pipeline.execute()
        mirrors = {
            task_id: (int(version), TaskSnapshot.model_validate_json(body) if body else None)
            for task_id, (version, body) in zip(ids, found, strict=True)
            if version is not None
        }
        return cls(tables, mirrors)

    def is_current(self, client: AgentTasks) -> bool:
        """Whether no row was written since."""
        rows = " UNION ALL ".join(f"SELECT '{table}' AS name, xmin::text FROM agent_tasks.{table}" for table in ORDER)
        found = sorted((row["name"], row["xmin"]) for row in query(client, rows))
        return found == sorted((name, row["xmin"]) for name, rows in self.tables.items() for row in rows)

    def of(self, table: str, task_id: UUID) -> list[Row]:
        return [row for row in self.tables[table] if row["task_id"] == task_id]


def read_bells(client: AgentTasks, *, drain: bool = False) -> list[dict[str, Any]]:
    """The messages that lie in Redis; with `drain` they are gone after it."""
    with client.redis.pipeline(transaction=False) as pipeline:
        for name in OURS.of("agents"):
            pipeline.lrange(name, 0, -1)
        if drain:
            pipeline.delete(*OURS.of("agents"))
        found: list[Any] = pipeline.execute()
    return [json.loads(message) for messages in found[: len(OURS.of("agents"))] for message in messages]
