"""Expired leases: the step runs again from its checkpoint, or ends as poison."""

from agent_tasks.client import AgentTasks
from agent_tasks.transitions.expire import expire
from beat.sweeps import BATCH


def run_once(client: AgentTasks) -> int:
    settings = client.settings
    with client.database.transaction() as connection:
        rows = expire(
            connection,
            limit=BATCH,
            ring_seconds=settings.ring_seconds,
            poison_crashes=settings.poison_crashes,
        )
    client.publish(rows)
    return len(rows)
