"""A Celery app of a user's that acknowledges late, in a process in which our worker's and our clock's apps are made."""

import os
import threading
from pathlib import Path
from typing import Any

from celery import Celery

from agent_tasks.engine import app as our_worker
from agent_tasks.sweeps import app as our_clock
from tests.agents import note
from tests.eventually import eventually

OURS = (our_worker, our_clock)

app: Any = Celery("theirs", broker=os.environ["AGENT_TASKS_REDIS_URL"])
app.conf.update(
    task_acks_late=True,
    task_default_queue="theirs",
    worker_prefetch_multiplier=1,
    broker_transport_options={
        "visibility_timeout": 1,
        "unacked_restore_interval": 0.2,
        "unacked_restore_throttle": 1,
    },
)


@app.task(name="theirs.pay")
def pay(folder: str) -> None:
    """Say so, wait for the file `go`, then tell which threads of ours there are."""
    note(folder, f"began {os.getpid()}")
    eventually((Path(folder) / "go").exists)
    ours = [thread.name for thread in threading.enumerate() if thread.name.startswith("agent-tasks")]
    note(folder, f"paid {os.getpid()} {ours}")
