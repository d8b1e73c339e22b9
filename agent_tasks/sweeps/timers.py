"""Due timers: what waited for the clock is pending again, children of parents short of time are called in, and what a
pause has moved is later."""

from agent_tasks.deployment import Deployment
from agent_tasks.sweeps.batch import BATCH, TREES
from agent_tasks.transitions.call_in import call_in
from agent_tasks.transitions.shift import shift
from agent_tasks.transitions.wake import wake


def run_once(deployment: Deployment) -> int:
    ring_seconds = deployment.settings.ring_seconds
    later = deployment.commit(lambda c: shift(c, limit=BATCH), single=True)
    woken = deployment.commit(lambda c: wake(c, limit=BATCH, ring_seconds=ring_seconds), single=True)
    called_in = deployment.commit(lambda c: call_in(c, limit=TREES, ring_seconds=ring_seconds))
    return len(later) + len(woken) + len(called_in)
