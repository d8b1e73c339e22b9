"""Many tasks at once, and what was counted of them."""

from typing import Any
from uuid import UUID

from agent_tasks import AgentTasks, Bulk, TaskFilter
from tests.database import query

ECHO = TaskFilter(agent="echo")


def many(client: AgentTasks, count: int, **options: Any) -> list[UUID]:
    return [task.id for task in client.submit_many("echo", [{"value": n} for n in range(count)], **options)]


def statuses(client: AgentTasks) -> dict[str, int]:
    rows = query(client, "SELECT status, count(*) AS n FROM agent_tasks.tasks GROUP BY status")
    return {row["status"]: row["n"] for row in rows}


def counts(bulk: Bulk) -> tuple[int, int, int, int]:
    return bulk.matched, bulk.done, bulk.passed_over, bulk.failed
