"""The sweeper: every sweep, in order, each in batches, each safe to run many times at once."""

import logging
import threading
from collections.abc import Callable

from agent_tasks import metrics
from agent_tasks.client import AgentTasks
from agent_tasks.database import DATABASE_AWAY
from beat.sweeps import bells, keys, leases, orphans, retention, schedules, timers, workers

log = logging.getLogger(__name__)

Sweep = Callable[[AgentTasks], int]
DUE: dict[str, Sweep] = {
    "leases": leases.run_once,
    "timers": timers.run_once,
    "bells": bells.run_once,
    "schedules": schedules.run_once,
}
HOUSEKEEPING: dict[str, Sweep] = {
    "orphans": orphans.run_once,
    "retention": retention.run_once,
    "keys": keys.run_once,
    "workers": workers.run_once,
}


class Sweeper:
    """Runs sweeps for one deployment; a tick that comes while the last one still runs in this process is dropped."""

    def __init__(self, client: AgentTasks) -> None:
        self.client = client
        self._locks = {id(DUE): threading.Lock(), id(HOUSEKEEPING): threading.Lock()}

    def run_due(self) -> dict[str, int]:
        """Expired leases, due timers and lost bells; returns how many tasks each sweep moved."""
        return self._run(DUE)

    def run_housekeeping(self) -> dict[str, int]:
        """Orphans, retention, expired keys and dead workers."""
        return self._run(HOUSEKEEPING)

    def _run(self, sweeps: dict[str, Sweep]) -> dict[str, int]:
        lock = self._locks[id(sweeps)]
        if not lock.acquire(blocking=False):
            return {}
        try:
            return {name: self._until_done(name, sweep) for name, sweep in sweeps.items()}
        except DATABASE_AWAY as error:
            log.warning("sweep: postgres is away, the next tick tries again: %s", error)
            return {}
        finally:
            lock.release()

    def _until_done(self, name: str, sweep: Sweep) -> int:
        total = 0
        while moved := sweep(self.client):
            total += moved
            metrics.SWEPT.labels(name).inc(moved)
        if total:
            log.info("swept: sweep=%s moved=%d", name, total)
        return total
