"""Workers as the console shows them."""

from dataclasses import dataclass
from datetime import datetime

from agent_tasks.client.client import AgentTasks
from agent_tasks.store.queries import console, read


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


def workers(client: AgentTasks) -> list[Working]:
    """The workers that live, those first that run the most."""
    with client.database.connection() as connection:
        rows = read.workers(connection, seconds=client.settings.lease_seconds)
        held = console.held(connection)
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
