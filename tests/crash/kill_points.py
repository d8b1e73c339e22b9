"""Loaded as a module of agents: kills its process between the commit of a first step and its publish."""

import os
import signal
from typing import Any

from agent_tasks.engine.steps.executor import Executor

publish = Executor._publish


def kill_after_first_commit(self: Executor, settled: Any) -> None:
    if settled.row["status"] == "pending" and settled.row["step_number"] == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    publish(self, settled)


Executor._publish = kill_after_first_commit  # type: ignore[method-assign]
