"""Idempotency keys past their time are deleted."""

from agent_tasks.client import AgentTasks
from agent_tasks.transitions.purge import purge_keys
from beat.sweeps import BATCH


def run_once(client: AgentTasks) -> int:
    with client.database.connection() as connection:
        return purge_keys(connection, limit=BATCH)
