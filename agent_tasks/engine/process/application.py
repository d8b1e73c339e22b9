"""The worker's Celery app, a task for each step under its own name, and what a process of ours does to itself."""

import logging
import os
import sys
import time
from typing import Any

from celery import Celery, signals

from agent_tasks.authoring.agent import loaded_steps
from agent_tasks.authoring.loading import import_from_current_folder
from agent_tasks.children_metrics import is_for_prefork
from agent_tasks.deployment import Deployment
from agent_tasks.doorbell.bell import repeated
from agent_tasks.doorbell.celery_app import driver_of, make_app, when_it_runs
from agent_tasks.engine.observers.flower import show_running
from agent_tasks.engine.process import drain, outcomes
from agent_tasks.engine.process.gate import Gate, Wire
from agent_tasks.engine.process.loading import load, queues_of_agents
from agent_tasks.engine.process.wakeup import Waker
from agent_tasks.engine.process.watchdog import Watchdog
from agent_tasks.engine.process.worker import WorkerProcess, bootstep
from agent_tasks.settings import Settings

log = logging.getLogger(__name__)
_CONCURRENCY = 16
_CANNOT_BEGIN_SECONDS = 1.0
_QUEUES = "_AGENT_TASKS_QUEUES"
"""The variable by which a process that replaces itself passes its queues on."""


def make_worker_app() -> Celery:
    """Load the agents and register their steps. Raises InvalidInput for a module, or a step, that cannot be served."""
    settings = Settings.load()
    import_from_current_folder()
    load(settings)
    app: Any = make_app("workers", settings, queues_of_agents(settings))
    app.conf.update(
        worker_concurrency=_CONCURRENCY,
        # a message that waits in here, behind a long step, is kept from other workers; Celery can only on Redis
        worker_disable_prefetch=driver_of(app.connection_for_read()) == "redis",
    )
    if not is_for_prefork(sys.argv):  # Celery would put the configured pool in place of the one asked for
        app.conf.worker_pool = "threads"
    process = OwnProcess(app, settings)
    for step in loaded_steps().values():
        process.register(step)
    outcomes.register(app, lambda: process.begun)
    process.connect()
    return app


class OwnProcess(WorkerProcess):
    """A process that is all ours: it takes no message that it cannot serve, and replaces itself where it is stuck."""

    def __init__(self, app: Any, settings: Settings) -> None:
        super().__init__(app, settings)
        self.gate = Gate(self._wake)
        self._waker: Waker | None = None
        self._wire: Wire | None = None
        self._takes_sigterm = False
        self._watchdog: Watchdog | None = None
        self._leaving = False

    def connect(self) -> None:
        super().connect()
        self.app.steps["consumer"].add(bootstep("Gatekeeping", "celery.worker.consumer.tasks:Tasks", self._keep_gate))
        when_it_runs(signals.celeryd_init, self.app, self.begin_node)

    def begin_node(self, sender: str = "", conf: Any = None, options: Any = None, **_: Any) -> None:
        super().begin_node(sender, conf, options)
        if self.is_prefork_parent:
            self._wire = Wire()
        signals.heartbeat_sent.connect(self._show_running, weak=False)

    def begin(self, worker: Any) -> None:
        if queues := os.environ.pop(_QUEUES, None):
            self.app.amqp.queues.select(queues.split(","))
        self._waker = None if worker.hub is None else Waker(worker.hub)
        if self._wire is not None:
            self._wire.listen(self.gate)
        elif self._waker is not None:
            self._waker.wake_when_freed(worker.pool)
        super().begin(worker)
        self._watchdog = Watchdog(self.app, self.bells, self.gate, worker.pool.limit, self._replace)
        self._watchdog.start()

    def take(self, request: Any) -> None:
        if self._wire is not None and not self._takes_sigterm and self.begun is not None:
            self._takes_sigterm = True  # not before: the pool puts its own handler over that of a child's start
            drain.drain_on_sigterm(self.runtime)
        super().take(request)

    def hand_on(self, request: Any) -> None:
        """Put it back, and end this child of a pool, which could not begin: the pool starts another in its place."""
        log.error("process ended, it could not begin: another one begins in its place")
        time.sleep(_CANNOT_BEGIN_SECONDS)  # the next one takes the same message
        if not Deployment(self.settings).bells.put_back([repeated(request)]):
            log.warning("message not put back, the sweep sends another: message=%s", request.id)
        logging.shutdown()
        os._exit(1)

    def gate_of_runtime(self) -> Gate:
        return self.gate if self._wire is None else Gate(self._wire.tell)

    def lost_too_much(self, why: str) -> None:
        """Replace the process; a child of a pool ends, and the pool starts another one in its place."""
        log.error("process replaced: %s", why)
        if self.node_is_here:
            self._replace()
        else:
            self.runtime.release_all()
            os._exit(1)

    def stop_taking_work(self, **_: Any) -> None:
        self._leaving = True
        if self._watchdog is not None:
            self._watchdog.stop()
        super().stop_taking_work()

    def drain_children(self) -> None:
        drain.drain_children(self.settings, then=self._end_children)

    def _end_children(self) -> None:
        drain.end_children(self.settings, self.node)
        self.leave()

    def leave(self) -> None:
        self.end_others()
        drain.leave()

    def _keep_gate(self, consumer: Any) -> None:
        """Ask Redis for no message while the gate is closed; for each connection anew."""
        if self._waker is not None:
            self._waker.attach()
        consumer.task_consumer.channel.may_ask = lambda: self.gate.is_open

    def _wake(self, is_open: bool) -> None:
        if is_open and self._waker is not None:
            self._waker.wake()

    def _show_running(self, sender: Any = None, **_: Any) -> None:
        """Have heartbeats count running steps; with prefork they run in children, each in its message."""
        if self._runtime is not None and not self.is_prefork_parent:
            show_running(sender, self._runtime.active.__len__)

    def _replace(self) -> None:
        """Let steps finish for a bounded time, give their leases back, and start the same command again.

        It does not where the process was told to end, before or meanwhile. It keeps its queues: one that was
        cancelled by `celery control` stays so.
        """
        if self._leaving:
            return
        os.environ[_QUEUES] = ",".join(self.app.amqp.queues.consume_from)
        if self.is_prefork_parent:
            drain.end_children(self.settings, self.node)
            self._begin_again()
        drain.replace_threads(self.runtime, lambda: self.leave() if self._leaving else self._begin_again())

    def _begin_again(self) -> None:
        self.end_others()
        drain.begin_again()
