"""Loaded as a module of agents: kills its process between the commit of a first step and its publish."""

import os
import signal
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from agent_tasks.publisher import Publisher

publish = Publisher.publish


def kill_after_first_commit(self: Publisher, rows: Iterable[dict[str, Any]], stop: Sequence[UUID] = ()) -> bool:
    rows = list(rows)
    if any(row["status"] == "pending" and row["step_number"] == 1 for row in rows):
        os.kill(os.getpid(), signal.SIGKILL)
    return publish(self, rows, stop)


Publisher.publish = kill_after_first_commit  # type: ignore[method-assign]
