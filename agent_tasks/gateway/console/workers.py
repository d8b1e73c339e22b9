"""*Workers*: those that live, what they take, and what they run."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent_tasks.client.client import AgentTasks
from agent_tasks.gateway.console.visitor import Look
from agent_tasks.store.queries import overview, read
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus

_MOST_TASKS = 200


@dataclass(frozen=True)
class Working:
    """A worker process that lives."""

    id: str
    hostname: str
    pid: int
    queues: list[str]
    agents: list[str]
    steps: int
    started_at: datetime
    held: int
    """How many tasks it runs."""


def look(look: Look) -> dict[str, Any]:
    """What the page shows."""
    running = look.client.search(status=TaskStatus.RUNNING, limit=_MOST_TASKS).tasks
    held: dict[str, list[TaskSnapshot]] = defaultdict(list)
    for task in running:
        held[task.worker or ""].append(task)
    return {"workers": workers(look.client), "held": held, "most": _MOST_TASKS}


def workers(client: AgentTasks) -> list[Working]:
    """The workers that live, those first that run the most."""
    with client.database.connection() as connection:
        rows = read.workers(connection, seconds=client.settings.lease_seconds)
        held = overview.held(connection)
    found = [
        Working(
            row["id"],
            row["hostname"],
            row["pid"],
            row["queues"],
            sorted({step.rpartition(".")[0] for step in row["steps"]}),
            len(row["steps"]),
            row["started_at"],
            held.get(row["id"], 0),
        )
        for row in rows
    ]
    return sorted(found, key=lambda worker: (-worker.held, worker.id))
