"""Due timers: what waited for the clock is pending again."""

from agent_tasks.client import AgentTasks
from agent_tasks.transitions.wake import wake
from beat.sweeps import BATCH


def run_once(client: AgentTasks) -> int:
    with client.database.connection() as connection:
        rows = wake(connection, limit=BATCH, ring_seconds=client.settings.ring_seconds)
    client.publish(rows)
    return len(rows)
