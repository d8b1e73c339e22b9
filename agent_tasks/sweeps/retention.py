"""Retention: trees that ended long ago are deleted."""

from agent_tasks import metrics
from agent_tasks.deployment import Deployment
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions.purge import purge


def run_once(deployment: Deployment) -> int:
    settings = deployment.settings
    with deployment.database.connection() as connection:
        purged = purge(
            connection,
            limit=BATCH,
            seconds=settings.retention_seconds,
            keep_unacknowledged=settings.keep_unacknowledged,
        )
    for (agent, status), tasks in purged.items():
        metrics.PURGED.labels(agent, status).inc(tasks)
    return purged.total()
