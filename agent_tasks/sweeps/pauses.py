"""Pauses: what comes due of a paused task is put off once, and brought back when its pause has ended."""

from agent_tasks.deployment import Deployment
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions.put_off import bring_back, put_off


def run_once(deployment: Deployment) -> int:
    with deployment.database.connection() as connection:
        return bring_back(connection, limit=BATCH) + put_off(connection, limit=BATCH)
