"""Rows of the audit past their time are deleted."""

from agent_tasks.deployment import Deployment
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions.audit import purge


def run_once(deployment: Deployment) -> int:
    with deployment.database.connection() as connection:
        return purge(connection, limit=BATCH, seconds=deployment.settings.audit_seconds)
