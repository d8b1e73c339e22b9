"""How long a task is kept, and when it last changed."""

from datetime import datetime
from typing import TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection

_LIFETIME = """
    SELECT root.finished_at, root.acknowledged_at, root.retention_seconds, coalesce(
        (SELECT at FROM agent_tasks.events WHERE task_id = tasks.id ORDER BY seq DESC LIMIT 1), tasks.created_at
    ) AS changed_at
    FROM agent_tasks.tasks JOIN agent_tasks.tasks AS root ON root.id = tasks.root_id
    WHERE tasks.id = %s
"""


class LifetimeRow(TypedDict):
    """When a task last changed, and what decides until when its tree is kept."""

    changed_at: datetime
    finished_at: datetime | None
    """Of its root; None: the tree lives, and is kept."""
    acknowledged_at: datetime | None
    retention_seconds: float
    """0: as the deployment says."""


def lifetime(connection: Connection, task_id: UUID) -> LifetimeRow | None:
    """Return it; None where there is no such task."""
    return connection.execute(_LIFETIME, [task_id]).fetchone()
