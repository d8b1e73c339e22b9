"""Worker processes that were silent for a week are forgotten: until then they show since when a step has no owner."""

from agent_tasks.deployment import Deployment
from agent_tasks.transitions.heartbeat import forget_dead

SECONDS = 7 * 86_400.0


def run_once(deployment: Deployment) -> int:
    with deployment.database.connection() as connection:
        return forget_dead(connection, seconds=SECONDS)
