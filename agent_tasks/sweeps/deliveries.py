"""Deliveries of webhooks past their time are deleted, with the events that they tell of."""

from agent_tasks.deployment import Deployment
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions.outbox import purge


def run_once(deployment: Deployment) -> int:
    seconds = deployment.settings.delivery_seconds
    return deployment.database.run(lambda connection: purge(connection, limit=BATCH, seconds=seconds))
