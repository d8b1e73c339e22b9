"""AgentCore sessions and jobs past their life are deleted."""

from agent_tasks.deployment import Deployment
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions import invoke, job


def run_once(deployment: Deployment) -> int:
    seconds = max(deployment.settings.agentcore_life_seconds, deployment.settings.agentcore_idle_seconds)
    with deployment.database.connection() as connection:
        return invoke.purge(connection, limit=BATCH, seconds=seconds) + job.purge(
            connection, limit=BATCH, seconds=seconds
        )
