"""Lost bells: what is pending and nobody claimed is rung again, unless its bell may still wait in its queue."""

import redis

from agent_tasks.client.client import AgentTasks
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions.ring import pending_by_queue, postpone, ring

_LOST_PART = 0.05
"""Of the bells of a queue. When fewer are missing, they were taken this moment, or are not needed before the others."""


def run_once(client: AgentTasks) -> int:
    """All that is due at once: by the bells that it rings itself a later look would find that none are missing."""
    with client.database.connection() as connection:
        pending = pending_by_queue(connection)
    waiting = _queues_with_all_bells(client, pending)
    total = 0
    while moved := _postpone(client, waiting) + _ring(client, waiting):
        total += moved
    return total


def _postpone(client: AgentTasks, waiting: list[str]) -> int:
    if not waiting:
        return 0
    with client.database.connection() as connection:
        return postpone(connection, waiting, limit=BATCH, ring_seconds=client.settings.ring_seconds)


def _ring(client: AgentTasks, waiting: list[str]) -> int:
    with client.database.connection() as connection:
        rows = ring(connection, limit=BATCH, ring_seconds=client.settings.ring_seconds, but_for=waiting)
    client.publish(rows)
    return len(rows)


def _queues_with_all_bells(client: AgentTasks, pending: dict[str, int]) -> list[str]:
    """The queues in which about as many bells wait as tasks are pending: none was lost, each has its turn."""
    try:
        bells = client.publisher.waiting(list(pending))
    except redis.RedisError:  # then it takes no bells either
        return []
    return [queue for queue, tasks in pending.items() if bells[queue] >= tasks - int(tasks * _LOST_PART)]
