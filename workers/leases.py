"""The heartbeat of a worker process: one statement for all its leases, and word of what was cancelled."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING
from uuid import UUID

from agent_tasks import metrics
from agent_tasks.database_errors import Transient
from agent_tasks.errors import LeaseLost
from agent_tasks.publisher import STOP_CHANNEL
from agent_tasks.transitions.heartbeat import WorkerRecord, heartbeat
from workers.operations import DatabaseAway
from workers.run import StepRun
from workers.slots import LostSlots

if TYPE_CHECKING:
    from workers.runtime import Runtime

log = logging.getLogger(__name__)
TICK_SECONDS = 0.5
"""How often events are flushed and overdue steps looked at; leases are kept at a third of their time."""


class Leases:
    """A thread keeps the leases alive and stops the steps whose lease is lost; a second one does what may wait."""

    def __init__(self, runtime: "Runtime", worker: WorkerRecord) -> None:
        self._runtime = runtime
        self._worker = worker
        self._closed = threading.Event()
        self._lost_slots = LostSlots(runtime)
        self._next_beat = 0.0

    def start(self) -> None:
        self._runtime.client.notices.listen(STOP_CHANNEL, self._told_to_stop)
        self._beat()
        for name, duty in (("leases", self._keep), ("upkeep", self._tend)):
            threading.Thread(target=self._run, args=(duty,), name=f"agent-tasks-{name}", daemon=True).start()

    def stop(self) -> None:
        self._closed.set()
        self._runtime.client.notices.forget(STOP_CHANNEL, self._told_to_stop)

    def _told_to_stop(self, text: str | None) -> None:
        """A task ended from outside. Word may be lost (None): then the next heartbeat finds out."""
        if text is None:
            self._next_beat = 0.0
        elif run := self._runtime.held.find(UUID(text)):
            if run.claim.undo_step is None:
                run.stop()
            else:  # its end is decided: it is only to come soon
                run.hurry(self._runtime.settings.overrun_seconds)

    def _run(self, duty: Callable[[], None]) -> None:
        tick = min(TICK_SECONDS, self._runtime.settings.lease_seconds / 6)
        while not self._closed.wait(tick):
            try:
                duty()
            except Exception:  # every lease of the process hangs on these threads: they must outlive any surprise
                log.exception("upkeep failed, will try again")

    def _keep(self) -> None:
        if monotonic() >= self._next_beat:
            self._beat()

    def _tend(self) -> None:
        """What may hang with Redis, and so must not hold up the heartbeat."""
        self._report()
        self._lost_slots.look()
        self._runtime.telemetry.flush()

    def _beat(self) -> None:
        runs = {run.claim.id: run for run in self._runtime.held.all()}
        held = [(run.claim.id, run.claim.run) for run in runs.values()]
        try:
            worker = replace(self._worker, keys=self._runtime.client.publisher.fingerprints)
            with self._runtime.client.database.connection() as connection:
                kept = heartbeat(connection, worker, held, lease_seconds=self._runtime.settings.lease_seconds)
        except Transient as error:
            log.warning("heartbeat: postgres is away, leases may be lost: %s", error)
            return
        self._next_beat = monotonic() + self._runtime.settings.lease_seconds / 3
        for task_id in runs.keys() - kept:
            self._lost(runs[task_id])

    def _lost(self, run: StepRun) -> None:
        still_held = self._runtime.held.find(run.claim.id) is run  # it may just have ended by itself,
        if still_held and not run.returned and run.stopped_at is None:  # or be committing, which finds out, too
            metrics.LEASES_LOST.inc()
            log.warning("lease lost: task=%s step=%s run=%d", run.claim.id, run.claim.step, run.claim.run)
            run.stop()

    def _report(self) -> None:
        for run in self._runtime.held.all():
            try:
                run.operations.flush_progress()
                run.operations.warn_of_time()
            except LeaseLost:
                self._lost(run)
            except DatabaseAway as error:
                log.warning("progress not written, postgres is away: %s", error)
