"""Worker processes that were silent for an hour are forgotten."""

from agent_tasks.client import AgentTasks
from agent_tasks.transitions.heartbeat import forget_dead

SECONDS = 3600.0


def run_once(client: AgentTasks) -> int:
    with client.database.connection() as connection:
        return forget_dead(connection, seconds=SECONDS)
