"""Lost bells: what is pending and nobody claimed is rung again, unless its bell may still wait in its queue."""

from agent_tasks.deployment import Deployment
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions.ring import pending_by_queue, postpone, ring

_LOST_PART = 0.05
"""The part of a queue's bells that counts as lost: fewer were taken this moment, or can wait."""


def run_once(deployment: Deployment) -> int:
    """Ring all that is due at once: after the first bells of its own, a later look would find none missing."""
    with deployment.database.connection() as connection:
        pending = pending_by_queue(connection)
    waiting = _queues_with_all_bells(deployment, pending)
    total = 0
    while moved := _postpone(deployment, waiting) + _ring(deployment, waiting):
        total += moved
    return total


def _postpone(deployment: Deployment, waiting: list[str]) -> int:
    if not waiting:
        return 0
    with deployment.database.connection() as connection:
        return postpone(connection, waiting, limit=BATCH, ring_seconds=deployment.settings.ring_seconds)


def _ring(deployment: Deployment, waiting: list[str]) -> int:
    ring_seconds = deployment.settings.ring_seconds
    rows = deployment.commit(lambda c: ring(c, limit=BATCH, ring_seconds=ring_seconds, but_for=waiting), single=True)
    return len(rows)


def _queues_with_all_bells(deployment: Deployment, pending: dict[str, int]) -> list[str]:
    """The queues in which about as many bells wait as tasks are pending: none was lost, each has its turn."""
    waiting = deployment.bells.bells_waiting(list(pending))
    known = {queue: bells for queue, bells in waiting.items() if bells is not None}
    return [queue for queue, bells in known.items() if bells >= pending[queue] - int(pending[queue] * _LOST_PART)]
