"""Endpoints and deliveries as rows, for tests that need no deliverer."""

from typing import Any
from uuid import UUID, uuid4

from agent_tasks import AgentTasks
from tests.database import Row, query


def endpoint(client: AgentTasks, tenant: str = "", **columns: Any) -> UUID:
    """An endpoint that a trusted program has registered; `columns` beside its name and URL."""
    values = {"id": uuid4(), "name": str(uuid4()), "url": "https://a.example", "secret": "s", "trusted": True}
    values |= columns
    sql = f"""
        INSERT INTO agent_tasks.webhooks (tenant, {", ".join(values)})
        VALUES (%s, {", ".join(["%s"] * len(values))}) RETURNING id
    """
    return query(client, sql, tenant, *values.values())[0]["id"]


def called_back(client: AgentTasks, task_id: UUID, url: str = "https://A.example:8443/hook?x=1") -> UUID:
    """A task that has a callback."""
    query(client, "UPDATE agent_tasks.tasks SET callback_url = %s WHERE id = %s", url, task_id)
    return task_id


def deliveries(client: AgentTasks, webhook_id: UUID | None = None) -> list[Row]:
    """Those of an endpoint, or of callbacks."""
    sql = "SELECT * FROM agent_tasks.deliveries WHERE webhook_id IS NOT DISTINCT FROM %s ORDER BY outbox_id, created_at"
    return query(client, sql, webhook_id)


def ended(client: AgentTasks, id: UUID, status: str = "failed", attempt: int = 10) -> None:
    """A delivery is over."""
    sql = """
        UPDATE agent_tasks.deliveries SET status = %s, attempt = %s, due_at = NULL, answer = 500, error = 'no',
            last_at = clock_timestamp(), ended_at = clock_timestamp()
        WHERE id = %s
    """
    query(client, sql, status, attempt, id)
