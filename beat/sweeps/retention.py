"""Retention: trees that ended long ago are deleted."""

from agent_tasks.client import AgentTasks
from agent_tasks.transitions.purge import purge
from beat.sweeps import BATCH


def run_once(client: AgentTasks) -> int:
    with client.database.connection() as connection:
        return purge(connection, limit=BATCH, seconds=client.settings.retention_seconds)
