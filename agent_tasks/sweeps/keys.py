"""Idempotency keys past their time are deleted."""

from agent_tasks.client.client import AgentTasks
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions.purge import purge_keys


def run_once(client: AgentTasks) -> int:
    with client.database.connection() as connection:
        return purge_keys(connection, limit=BATCH)
