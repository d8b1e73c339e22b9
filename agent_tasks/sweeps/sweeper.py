"""The sweeper: every sweep, in order, each in batches, each safe to run many times at once."""

import logging
import threading
from collections.abc import Callable

import psycopg

from agent_tasks import metrics
from agent_tasks.client.client import AgentTasks
from agent_tasks.store.errors import Contention, ServerAway
from agent_tasks.store.queries import read
from agent_tasks.sweeps import (
    alerts,
    audit,
    bells,
    bulks,
    deliveries,
    keys,
    leases,
    orphans,
    pauses,
    retention,
    schedules,
    sessions,
    statistics,
    timers,
    workers,
)

log = logging.getLogger(__name__)

Sweep = Callable[[AgentTasks], int]
DUE: dict[str, Sweep] = {
    "leases": leases.run_once,
    "pauses": pauses.run_once,  # before those that would find what is paused, and what is not any more
    "timers": timers.run_once,
    "bells": bells.run_once,
    "schedules": schedules.run_once,
}
ROUNDS: dict[str, dict[str, Sweep]] = {
    "due": DUE,
    # the TTL of orphans begins anew where nobody looked for a while: nothing else may hold this one up
    "orphans": {"orphans": orphans.run_once},
    "retention": {
        "retention": retention.run_once,
        "keys": keys.run_once,
        "audit": audit.run_once,
        "sessions": sessions.run_once,
        "deliveries": deliveries.run_once,
        "ended bulks": bulks.purge,
        "ended pauses": pauses.purge,
    },
    "bulks": {"bulks": bulks.run_once},
    "housekeeping": {"statistics": statistics.run_once, "workers": workers.run_once, "alerts": alerts.run_once},
}
"""The sweeps of each round, which run one after the other; rounds of different names may run at the same time."""


class Sweeper:
    """Runs sweeps for one deployment; a tick that comes while the last one still runs in this process is dropped."""

    def __init__(self, client: AgentTasks) -> None:
        self.client = client
        self._looked_for_orphans = False
        self._locks = {name: threading.Lock() for name in ROUNDS}

    def run_due(self) -> dict[str, int]:
        """Sweep expired leases, due timers and lost bells; returns how many tasks each moved, of those with any."""
        if not self._looked_for_orphans:  # at once, not after half a minute: `doctor` sees by it that the sweeps tick
            self.run("orphans")
        return self._run("due", self._due)

    def run(self, name: str) -> dict[str, int]:
        """Run all sweeps of the round `name`, whether anything is due or not."""
        self._looked_for_orphans |= name == "orphans"
        return self._run(name, lambda: set(ROUNDS[name]))

    def _due(self) -> set[str]:
        with self.client.database.connection() as connection:
            return read.due(connection)

    def _run(self, name: str, find_due: Callable[[], set[str]]) -> dict[str, int]:
        lock, sweeps = self._locks[name], ROUNDS[name]
        if not lock.acquire(blocking=False):
            return {}
        moved: dict[str, int] = {}
        try:
            due = self._find(find_due, sweeps)
            for each in sweeps:
                if each in due:
                    moved[each] = self._until_done(each, sweeps[each])
        except ServerAway as error:
            log.warning("sweep not run, Postgres cannot be reached; the next tick tries again: %s", error)
        finally:
            lock.release()
        return moved

    def _find(self, find_due: Callable[[], set[str]], sweeps: dict[str, Sweep]) -> set[str]:
        """Find the sweeps that are due; all of them where that cannot be found out."""
        try:
            return find_due()
        except ServerAway:
            raise
        except psycopg.Error as error:
            log.warning("could not look what is due, so every sweep runs: %s", error)
            return set(sweeps)

    def _until_done(self, name: str, sweep: Sweep) -> int:
        """Run one sweep until it is done. Raises ServerAway; no other error may keep the other sweeps from running."""
        total = 0
        try:
            while moved := sweep(self.client):
                total += moved
                metrics.SWEPT.labels(name).inc(moved)
        except ServerAway:
            raise
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.QueryCanceled) as error:
            metrics.SWEEPS_FAILED.labels(name).inc()
            said = error.diag.message_primary
            log.error("sweep failed, `agent-tasks doctor` says what to do: sweep=%s error=%s", name, said)
        except Contention as error:
            log.warning("sweep blocked by others, the next tick tries again: sweep=%s error=%s", name, error)
        except Exception:
            metrics.SWEEPS_FAILED.labels(name).inc()
            log.exception("sweep failed: sweep=%s", name)
        if total:
            log.info("swept: sweep=%s moved=%d", name, total)
        return total
