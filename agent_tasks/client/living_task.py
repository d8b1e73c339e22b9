"""A task that has not ended, as it is listed."""

from datetime import datetime
from typing import Literal

from agent_tasks.task.snapshot import TaskSnapshot

Kind = Literal["signal", "timer", "children", "retry"]
"""The conditions that a task can wait for."""


class LivingTask(TaskSnapshot):
    """A task as `AgentTasks.living` lists it."""

    since: datetime
    """When it began to wait, to run or to be pending, or ended."""
