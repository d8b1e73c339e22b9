"""Alerts that are checked, and the tasks that they are about."""

from typing import Any

from agent_tasks import AgentTasks, Alert, AlertRule, Identity
from agent_tasks.sweeps import alerts
from agent_tasks.transitions import heartbeat
from tests.database import claimed, park, query, submitted

BOSS = Identity(subject="boss", tenant="acme", scopes=("tasks:all",))
LONG = AlertRule("pending", 3600)
WORKER = heartbeat.WorkerRecord("w", "h", 1, ("agents",), ("echo.echo",))


def checked(client: AgentTasks, name: str = "a", **options: Any) -> Alert:
    """The alert after one more check of all."""
    query(client, "UPDATE agent_tasks.alerts SET due_at = clock_timestamp()")
    alerts.run_once(client)
    return client.alert(name, **options)


def aged(client: AgentTasks, task_id: Any, seconds: float = 7200) -> None:
    """The task has been pending, or has waited, for so long."""
    query(
        client,
        """
        UPDATE agent_tasks.tasks SET pending_since = now() - make_interval(secs => %s),
            waiting_for = waiting_for || jsonb_build_object('since', now() - make_interval(secs => %s)) WHERE id = %s
        """,
        seconds,
        seconds,
        task_id,
    )


def waiting(client: AgentTasks, **options: Any) -> Any:
    taken = claimed(client, submitted(client, **options))
    with client.database.connection() as connection:
        park(connection, taken, "go")
    return taken.id
