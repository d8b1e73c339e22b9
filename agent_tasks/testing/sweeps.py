"""The sweeps that a test's clock runs at each time at which something is due, one kind at a time."""

from collections.abc import Callable
from typing import Literal

from agent_tasks.client.client import AgentTasks
from agent_tasks.sweeps import schedules, timers
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions.wake import wake

Kind = Literal["timers", "children", "schedules"]


def _wake(client: AgentTasks) -> int:
    ring_seconds = client.settings.ring_seconds
    return len(client.commit(lambda c: wake(c, limit=BATCH, ring_seconds=ring_seconds), single=True))


SWEEPS: dict[Kind, Callable[[AgentTasks], int]] = {
    "timers": _wake,  # of these there may be hundreds: one statement for each time, and no look for more
    "children": timers.run_once,
    "schedules": schedules.run_once,
}
"""Each returns how many tasks it moved."""
