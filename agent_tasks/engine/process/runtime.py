"""The runtime: one of each thing that a process needs to run steps."""

import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import psycopg

from agent_tasks import logs
from agent_tasks.authoring.agent import loaded_steps
from agent_tasks.client.client import AgentTasks
from agent_tasks.doorbell import bell, envelope
from agent_tasks.engine.batching.combiners import Combiners
from agent_tasks.engine.observers.flower import Telemetry
from agent_tasks.engine.observers.kept_logs import KeptLogs
from agent_tasks.engine.observers.mirror import Mirroring
from agent_tasks.engine.process import forks
from agent_tasks.engine.process.gate import Gate, NotTaken
from agent_tasks.engine.process.heartbeat import Leases
from agent_tasks.engine.process.loops import Loops
from agent_tasks.engine.process.own_connection import OwnConnection
from agent_tasks.engine.process.slots import LostSlots
from agent_tasks.engine.process.terms import OURS, Terms
from agent_tasks.engine.process.threads import CallThreads, DatabaseThreads
from agent_tasks.engine.steps.active import ActiveRuns
from agent_tasks.engine.steps.admission import Admission
from agent_tasks.engine.steps.commit import Commits
from agent_tasks.engine.steps.executor import Executor
from agent_tasks.engine.steps.publication import Publication
from agent_tasks.engine.steps.unfinished import Unfinished
from agent_tasks.settings import Settings
from agent_tasks.store.errors import ServerAway
from agent_tasks.tracing.provider import flush, provide
from agent_tasks.transitions.heartbeat import WorkerRecord, sign_off
from agent_tasks.transitions.release import release

log = logging.getLogger(__name__)
_DATABASE_THREADS = 16
"""Threads for commits and calls of async steps: more than connections, since waiting requests are combined."""
_END_SECONDS = 2.0
"""How long Postgres may take to hear that this process ends."""
_MOST_FOR_LATER = 1000
_BEGIN_SECONDS = 2.0
"""How long the first message of a process waits for Postgres to be reached. A child of a pool may be given only one."""
_SHUT_SECONDS = 1.0
"""How long a slot whose message was put back takes no other one, unless the gate opens meanwhile."""


class Runtime:
    """What one process runs steps with; made in the children after the fork, since nothing in it survives one."""

    def __init__(
        self,
        app: Any,
        settings: Settings,
        node: str,
        lost_too_much: Callable[[str], None],
        gate: Gate,
        terms: Terms = OURS,
    ) -> None:
        self.settings = settings
        self.gate = gate
        self.client = AgentTasks(settings)
        self.active = ActiveRuns()
        self._terms = terms
        self._for_later: deque[bell.Taken] = deque(maxlen=_MOST_FOR_LATER)
        self._finished = True
        self._stopped = False
        self._ending = threading.Lock()
        self.unclaimed: Callable[[], None] = lambda: None
        """Called for each message whose step was not to be claimed: it may be suspect."""
        self.worker_id = worker_id(node, os.getpid())
        self._telemetry = Telemetry(app, node, self.client.spans, sends_events=terms.sends_events)
        self._database_threads = DatabaseThreads(_DATABASE_THREADS)
        self._call_threads = CallThreads(settings.call_threads)
        self._loops = Loops(settings.async_steps, self._database_threads, self._call_threads)
        self._mirroring = Mirroring(self.client)
        self._kept_logs = KeptLogs(self.client, settings.keep_logs) if settings.keep_logs else None
        self._combiners = Combiners(self.client, self.worker_id)
        commits = Commits(self.client, self._combiners)
        publication = Publication(self.client, self._combiners, self._mirroring)
        unfinished = Unfinished(self.active, commits, publication, self._telemetry)
        admission = Admission(
            self.client,
            self._combiners,
            self._loops,
            changed=self._mirroring.note,
            unclaimed=lambda: self.unclaimed(),
        )
        self.executor = Executor(
            settings, self._loops, self.active, admission, commits, publication, unfinished, self._telemetry
        )
        self._lost_slots = LostSlots(
            self.active,
            self._loops,
            self._call_threads,
            unfinished,
            overrun_seconds=settings.overrun_seconds,
            lost_too_much=lost_too_much,
        )
        steps = sorted((name, step.signature) for name, step in loaded_steps().items())
        queues = tuple(app.amqp.queues.consume_from)
        self._leases = Leases(
            self.client,
            WorkerRecord(
                self.worker_id,
                socket.gethostname(),
                os.getpid(),
                queues,
                steps=tuple(name for name, _ in steps),
                signatures=tuple(signature for _, signature in steps),
            ),
            self.active,
            gate,
            upkeep=(self._lost_slots.look, self._telemetry.flush, self._send_again),
        )

    def start(self, slots: int) -> None:
        """Register and beat, as soon as Postgres can be reached; that opens the gate. Returns at once."""
        logs.set_up(self.settings.log_format)
        if self._kept_logs is not None:
            self._kept_logs.start()
        provide("agent-tasks-worker", is_on=self.settings.traces)
        self._lost_slots.slots = slots
        forks.watch(self.client, self._combiners, self._loops, all_reset=self._terms.resets_signals)
        self._leases.start()
        self._mirroring.start()
        log.info("begins: worker=%s slots=%d async_steps=%d", self.worker_id, slots, self.settings.async_steps)

    def take(self, request: Any) -> None:
        """Run the step that a message of Celery names. The message goes back where this worker cannot claim: at once,
        or when it can again."""
        self.gate.wait_for_first(_BEGIN_SECONDS)
        if self.gate.is_open:
            try:
                self.executor.deliver((request.headers or {}).get(envelope.HEADER), request.task)
                return
            except NotTaken as error:
                if isinstance(error.__cause__, ServerAway):
                    self.gate.close("Postgres cannot be reached", error)
        if not self._terms.waits_in_slots:
            self._for_later.append(bell.repeated(request))
            return
        was_open = self.gate.is_open  # Postgres answers, and the row could not be had: it would come back at once
        if not self.client.bells.put_back([bell.repeated(request)]):
            log.warning("message not put back, the sweep sends another: message=%s", request.id)
        (threading.Event() if was_open else self.gate).wait(_SHUT_SECONDS)

    def _send_again(self) -> None:
        """Send the bells again that could not be taken when they came; the sweep rings for what is lost of them."""
        if self._for_later and self.gate.is_open:  # with Postgres away, those that are sent would only come back
            kept = [self._for_later.popleft() for _ in range(len(self._for_later))]
            if not self.client.bells.put_back(kept):
                log.warning("%d messages not put back, the sweep sends others", len(kept))

    def drain(self, seconds: float | None = None) -> bool:
        """Let running steps finish for a bounded time, then give their leases back; True when all finished.

        Callers that come meanwhile wait for the same end. `seconds`: by default those of the settings.
        """
        with self._ending:
            if not self.active.draining:
                self.active.draining = True
                bound = self.settings.drain_seconds if seconds is None else seconds
                self._finished = self.active.wait_until_empty(bound)
                if not self._finished:
                    self.release_all()
        return self._finished

    def release_all(self) -> None:
        """Give every lease back, so that other workers go on at once; what still runs here cannot commit."""
        runs = self.active.all()
        for run in runs:
            run.stop()
        claims = [(run.claim.id, run.claim.run) for run in runs]
        try:
            with OwnConnection(self.client.database, _END_SECONDS).use() as connection:
                rows = release(connection, claims, ring_seconds=self.settings.ring_seconds)
        except psycopg.Error as error:
            log.warning("leases not released, they will expire: %s", error)
            return
        self.client.publish(rows)
        log.info("leases released: worker=%s tasks=%d", self.worker_id, len(rows))

    def stop(self, drain_seconds: float | None = None) -> None:
        """Drain, sign off and close; further calls do nothing."""
        self.drain(drain_seconds)
        with self._ending:
            if self._stopped:
                return
            self._stopped = True
        self._leases.stop()
        self._send_again()
        self._mirroring.close()
        if self._kept_logs is not None:
            self._kept_logs.stop()
        self._loops.current.stop()
        self._database_threads.shutdown(cancel_futures=True)
        self._call_threads.shutdown(cancel_futures=True)
        try:
            with OwnConnection(self.client.database, _END_SECONDS).use() as connection:
                sign_off(connection, self.worker_id)
        except psycopg.Error as error:
            log.warning("worker not signed off: %s", error)
        self._telemetry.close()
        flush()
        self.client.close()


def worker_id(node: str, pid: int) -> str:
    return f"{node}/{pid}"
