"""Due timers: what waited for the clock is pending again, and children of parents short of time are called in."""

from agent_tasks.deployment import Deployment
from agent_tasks.sweeps.batch import BATCH, TREES
from agent_tasks.transitions.call_in import call_in
from agent_tasks.transitions.wake import wake


def run_once(deployment: Deployment) -> int:
    ring_seconds = deployment.settings.ring_seconds
    woken = deployment.commit(lambda c: wake(c, limit=BATCH, ring_seconds=ring_seconds), single=True)
    called_in = deployment.commit(lambda c: call_in(c, limit=TREES, ring_seconds=ring_seconds))
    return len(woken) + len(called_in)
