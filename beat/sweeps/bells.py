"""Lost bells: what is pending and nobody claimed is rung again."""

from agent_tasks.client import AgentTasks
from agent_tasks.transitions.ring import ring
from beat.sweeps import BATCH


def run_once(client: AgentTasks) -> int:
    with client.database.connection() as connection:
        rows = ring(connection, limit=BATCH, ring_seconds=client.settings.ring_seconds)
    client.publish(rows)
    return len(rows)
