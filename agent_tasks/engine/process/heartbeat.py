"""The heartbeat of a worker process: it registers, keeps all leases, and stops what was cancelled."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic
from uuid import UUID

import psycopg

from agent_tasks import metrics
from agent_tasks.deployment import Deployment
from agent_tasks.doorbell.publisher import STOP_CHANNEL
from agent_tasks.engine.process.gate import Gate
from agent_tasks.engine.process.own_connection import OwnConnection
from agent_tasks.engine.process.registration import register
from agent_tasks.engine.steps.active import ActiveRuns
from agent_tasks.engine.steps.operations import DatabaseAway
from agent_tasks.engine.steps.run import StepRun
from agent_tasks.errors import LeaseLost
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import ServerAway
from agent_tasks.transitions.acquit import acquit
from agent_tasks.transitions.heartbeat import WorkerRecord, heartbeat, sign_on

log = logging.getLogger(__name__)
TICK_SECONDS = 0.5
"""How often events are flushed and overdue steps looked at; leases are kept at a third of their time."""
_PAUSES = (0.01, 0.02, 0.04, 0.08)
"""Pauses between tries for a locked row, in seconds: a commit of its own step takes no longer."""


class Leases:
    """A thread keeps the leases alive and stops the steps whose lease is lost; a second one does what may wait.

    The first one opens the gate when the worker is registered and beats, and closes it while it cannot.
    """

    def __init__(
        self,
        deployment: Deployment,
        worker: WorkerRecord,
        active: ActiveRuns,
        gate: Gate,
        upkeep: Sequence[Callable[[], None]] = (),
    ) -> None:
        """`upkeep` is what else is to be done at each tick, and may hang with Redis."""
        self._deployment = deployment
        self._worker = worker
        self._active = active
        self._gate = gate
        self._upkeep = upkeep
        self._lease_seconds = deployment.settings.lease_seconds
        self._bound = self._lease_seconds / 4
        self._own = OwnConnection(deployment.database, self._bound)
        self._closed = threading.Event()
        self._is_registered = False
        self._next_beat = 0.0
        self._locked: list[StepRun] = []

    def start(self) -> None:
        self._deployment.notices.listen(STOP_CHANNEL, self._stop_named)
        for name, duty in (("leases", self._keep), ("upkeep", self._tend)):
            threading.Thread(target=self._run, args=(duty,), name=f"agent-tasks-{name}", daemon=True).start()

    def stop(self) -> None:
        self._closed.set()
        self._deployment.notices.forget(STOP_CHANNEL, self._stop_named)

    def _stop_named(self, text: str | None) -> None:
        """Stop the run that a notice names; where notices may be lost (None), the next heartbeat finds out."""
        if text is None:
            self._next_beat = 0.0
            return
        task_id, _, number = text.partition(" ")
        for run in self._active.of(UUID(task_id)):
            if number and run.claim.run == int(number):
                run.stop()
            elif not number and run.claim.undo_step is not None:  # its end is decided: it is only to come soon
                run.hurry(self._deployment.settings.overrun_seconds)

    def _run(self, duty: Callable[[], None]) -> None:
        tick = min(TICK_SECONDS, self._lease_seconds / 6)
        while True:
            try:
                duty()
            except Exception:  # every lease of the process hangs on these threads: they must outlive any surprise
                log.exception("upkeep failed, it is tried again")
            if self._closed.wait(tick):
                return

    def _keep(self) -> None:
        """Beat when it is time, or when the last beat left something to do."""
        if monotonic() < self._next_beat and not self._locked and self._gate.is_open:
            return
        try:
            is_well = self._reach()
        except psycopg.Error as error:
            why = "Postgres cannot be reached" if isinstance(error, ServerAway) else "the heartbeat fails"
            self._gate.close(f"{why}; leases may be lost", error)
        else:
            if is_well:
                self._gate.open()

    def _reach(self) -> bool:
        """Do what there is to do; once again where the connection was broken and a new one may not be."""
        was_open = self._own.is_open
        try:
            return self._do()
        except ServerAway:
            if not was_open:
                raise
            return self._do()

    def _do(self) -> bool:
        """Register and beat where it is time; False where the database is not ready for this worker."""
        with self._own.use() as connection:
            if not self._is_registered and not self._register(connection):
                return False
            if monotonic() >= self._next_beat or not self._gate.is_open:
                self._beat(connection)
            elif self._locked:
                self._extend(connection, self._locked)
        return True

    def _register(self, connection: Connection) -> bool:
        if (obstacle := register(connection)) is not None:
            self._gate.close(f"{obstacle.found}; {obstacle.to_do}")
            return False
        publisher = self._deployment.publisher
        keys = publisher.fingerprints  # without the keys no message can be read
        self._worker = replace(self._worker, keys=keys, bells=publisher.bells.place)
        self._is_registered = True
        return True

    def _beat(self, connection: Connection) -> None:
        self._extend(connection, self._active.all())
        try:
            sign_on(connection, self._worker, seconds=self._bound / 2)
        except psycopg.errors.QueryCanceled as error:
            log.warning("heartbeat not recorded, the worker's row is locked: %s", error)
        self._next_beat = monotonic() + self._lease_seconds / 3

    def _extend(self, connection: Connection, runs: list[StepRun]) -> None:
        """Extend the leases; those of rows that stay locked are left for the next tick."""
        self._locked = []
        for pause in (*_PAUSES, None):
            if not runs:
                return
            claims = [(run.claim.id, run.claim.run) for run in runs]
            kept = heartbeat(connection, claims, lease_seconds=self._lease_seconds, seconds=self._bound)
            if lost := [run for run in runs if run.claim.id not in kept]:
                for run in lost:
                    self._lost(run)
                acquit(connection, [(run.claim.id, run.claim.run) for run in lost])
            runs = [run for run in runs if kept.get(run.claim.id) is False]
            if pause is not None and runs:
                self._closed.wait(pause)
        self._locked = runs

    def _lost(self, run: StepRun) -> None:
        is_active = self._active.has(run)  # it may just have ended by itself,
        if is_active and not run.returned and run.stopped_at is None:  # or be committing, which finds out, too
            metrics.LEASES_LOST.inc()
            log.warning("lease lost: task=%s step=%s run=%d", run.claim.id, run.claim.step, run.claim.run)
            run.stop()

    def _tend(self) -> None:
        """Do what may hang with Redis, and so must not delay the heartbeat."""
        self._report()
        for duty in self._upkeep:
            duty()

    def _report(self) -> None:
        for run in self._active.all():
            try:
                run.operations.flush_progress()
                run.operations.warn_of_time()
            except LeaseLost:
                self._lost(run)
            except DatabaseAway as error:
                log.warning("progress not written, Postgres cannot be reached: %s", error)
