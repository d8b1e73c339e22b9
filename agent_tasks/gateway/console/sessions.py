"""*Sessions*: those that tasks of late belong to, with what each has spent."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent_tasks.gateway.console.visitor import Look
from agent_tasks.store.queries import search
from agent_tasks.task.task_filter import TaskFilter

LOOKED_AT = 1_000
_COLUMNS = """
    tasks.id, tasks.session_id, tasks.agent, tasks.status, tasks.created_at, tasks.finished_at, tasks.parent_id,
    least(tasks.spent_usd, 1e300)::float8 AS spent_usd, tasks.tenant
"""


@dataclass
class Session:
    """A session, as far as its tasks are among those looked at."""

    id: str
    tenant: str
    last_at: datetime
    first_at: datetime
    agents: set[str] = field(default_factory=set[str])
    tasks: int = 0
    living: int = 0
    failed: int = 0
    usd: float = 0.0


def look(look: Look) -> dict[str, Any]:
    """What the page shows."""
    with look.client.database.connection() as connection:
        rows: list[Any] = search.tasks(
            connection, TaskFilter(), identity=look.caller.viewer, limit=LOOKED_AT, columns=_COLUMNS
        ).rows
    found: dict[tuple[str, str], Session] = {}
    for row in rows:
        if row["session_id"] is None:
            continue
        key = row["tenant"] or "", row["session_id"]
        session = found.setdefault(key, Session(key[1], key[0], row["created_at"], row["created_at"]))
        session.first_at = min(session.first_at, row["created_at"])
        session.agents.add(row["agent"])
        session.tasks += 1
        session.living += row["finished_at"] is None
        session.failed += row["status"] in ("failed", "timeout", "partial")
        session.usd += row["spent_usd"] if row["parent_id"] is None else 0.0  # a parent's has its children's
    return {"sessions": list(found.values())[:200], "looked_at": LOOKED_AT}
