"""Due timers: what waited for the clock is pending again, and children of parents short of time are called in."""

from agent_tasks.client.client import AgentTasks
from agent_tasks.sweeps.batch import BATCH, TREES
from agent_tasks.transitions.call_in import call_in
from agent_tasks.transitions.wake import wake


def run_once(client: AgentTasks) -> int:
    ring_seconds = client.settings.ring_seconds
    with client.database.connection() as connection:
        woken = wake(connection, limit=BATCH, ring_seconds=ring_seconds)
    client.publish(woken)
    called_in = client.database.run(lambda c: call_in(c, limit=TREES, ring_seconds=ring_seconds))
    client.publish(called_in)
    return len(woken) + len(called_in)
