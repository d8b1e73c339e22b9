"""Expired leases: the step runs again from its checkpoint, or ends as poison."""

from agent_tasks.client.client import AgentTasks
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions.expire import expire
from agent_tasks.transitions.join import join


def run_once(client: AgentTasks) -> int:
    settings = client.settings
    with client.database.transaction() as connection:
        expired = expire(
            connection,
            limit=BATCH,
            ring_seconds=settings.ring_seconds,
            lease_seconds=settings.lease_seconds,
            poison_crashes=settings.poison_crashes,
        )
        joined = join(connection, expired, ring_seconds=settings.ring_seconds)
    client.publish([*expired, *joined])
    return len(expired)
