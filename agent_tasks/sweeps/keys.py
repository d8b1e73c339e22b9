"""Idempotency keys and ended sessions past their time are deleted."""

from agent_tasks.deployment import Deployment
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions.purge import purge_keys
from agent_tasks.transitions.sign_out import forget_sessions


def run_once(deployment: Deployment) -> int:
    with deployment.database.connection() as connection:
        return purge_keys(connection, limit=BATCH) + forget_sessions(connection, limit=BATCH)
