"""Expired leases: the step runs again from its checkpoint, or ends as poison."""

from agent_tasks.deployment import Deployment
from agent_tasks.store.database import Connection
from agent_tasks.store.rows import Row
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions.ending import end
from agent_tasks.transitions.expire import expire


def run_once(deployment: Deployment) -> int:
    settings = deployment.settings

    def expire_all(connection: Connection) -> list[Row]:
        return expire(
            connection,
            limit=BATCH,
            ring_seconds=settings.ring_seconds,
            lease_seconds=settings.lease_seconds,
            poison_crashes=settings.poison_crashes,
        )

    def expire_and_tell(connection: Connection) -> tuple[int, list[Row]]:
        expired, joined = end(connection, expire_all, ring_seconds=settings.ring_seconds)
        return len(expired), [*expired, *joined]

    return deployment.commit_for(expire_and_tell)
