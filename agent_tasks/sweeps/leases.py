"""Expired leases: the step runs again from its checkpoint, or ends as poison."""

from agent_tasks.deployment import Deployment
from agent_tasks.store.database import Connection
from agent_tasks.store.rows import Row
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions.expire import expire
from agent_tasks.transitions.join import join


def run_once(deployment: Deployment) -> int:
    settings = deployment.settings

    def expire_and_join(connection: Connection) -> tuple[int, list[Row]]:
        expired = expire(
            connection,
            limit=BATCH,
            ring_seconds=settings.ring_seconds,
            lease_seconds=settings.lease_seconds,
            poison_crashes=settings.poison_crashes,
        )
        return len(expired), expired + join(connection, expired, ring_seconds=settings.ring_seconds)

    return deployment.commit_for(expire_and_join)
