"""The worker's Celery app: a task for each step under its own name, and when a process begins and ends."""

import logging
import os
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from celery import Celery, bootsteps, signals

from agent_tasks import metrics
from agent_tasks.authoring.agent import loaded_agents
from agent_tasks.authoring.loading import import_from_current_folder, load_agents, why_not_loaded
from agent_tasks.authoring.step import Step
from agent_tasks.deployment import Deployment
from agent_tasks.doorbell.celery_app import make_app, when_it_runs
from agent_tasks.engine.observers.flower import show_running
from agent_tasks.engine.process import drain
from agent_tasks.engine.process.gate import Gate, Wire
from agent_tasks.engine.process.passing import Passing
from agent_tasks.engine.process.quarantine import Quarantine
from agent_tasks.engine.process.registration import check
from agent_tasks.engine.process.runtime import Runtime
from agent_tasks.engine.process.wakeup import wake, wake_when_freed
from agent_tasks.engine.process.watchdog import Watchdog
from agent_tasks.errors import InvalidInput
from agent_tasks.settings import Settings

log = logging.getLogger(__name__)
_CONCURRENCY = 16
_QUEUES = "_AGENT_TASKS_QUEUES"
"""The variable by which a process that replaces itself passes its queues on."""


def make_worker_app() -> Celery:
    """Load the agents and register their steps. Raises InvalidInput for a module, or a step, that cannot be served."""
    settings = Settings.load()
    import_from_current_folder()
    failed = load_agents(settings.agents, settings.bundled)
    for setting, names in (("agents", settings.agents), ("bundled", settings.bundled)):
        if broken := [name for name in names if name in failed]:
            why = why_not_loaded(broken[0], failed[broken[0]])
            variable = f"AGENT_TASKS_{setting.upper()}"
            raise InvalidInput(f"{variable} names {broken[0]}, which does not load: {why}", field=setting)
    for name, error in failed.items():
        log.warning("agents left out, %s does not load: %s", name, why_not_loaded(name, error))
    check(loaded_agents().values())
    queues = [
        settings.queue,
        *sorted({a.queue for a in loaded_agents().values() if a.queue} - {settings.queue}),
    ]
    app: Any = make_app("workers", settings, queues)
    app.conf.update(
        worker_concurrency=_CONCURRENCY,
        worker_disable_prefetch=True,  # a message that waits in here, behind a long step, is kept from other workers
    )
    if not _asked_for_prefork(sys.argv):
        app.conf.worker_pool = "threads"
    process = WorkerProcess(app, settings)
    for agent in loaded_agents().values():
        for step in agent.runnable.values():
            process.register(step)
    process.connect()
    return app


def _asked_for_prefork(argv: list[str]) -> bool:
    """Whether the command line asks for prefork: Celery would put the configured pool in its place."""
    return any(
        argument in ("-Pprefork", "--pool=prefork") or (argument in ("-P", "--pool") and value == "prefork")
        for argument, value in pairwise([*argv, ""])
    )


class WorkerProcess:
    """One operating-system process: a Runtime where steps run, a Watchdog where messages are consumed.

    With the threads pool both are in one process; with prefork the runtimes are in the children.
    """

    def __init__(self, app: Any, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.node = ""
        self._node_pid = 0
        self.is_prefork_parent = False
        self.gate = Gate(self._wake)
        self._hub: Any = None
        self._wire: Wire | None = None
        self._takes_sigterm = False
        self._runtime: Runtime | None = None
        self._runtime_pid = 0
        self._watchdog: Watchdog | None = None
        self._quarantine: Quarantine | None = None
        self._passing: Passing | None = None
        self._leaving = False

    def register(self, step: Step) -> None:
        def deliver(task: Any) -> None:
            if self._wire is not None and not self._takes_sigterm:
                self._takes_sigterm = True  # not before: the pool puts its own handler over that of a child's start
                drain.drain_on_sigterm(self.runtime)
            self.runtime.take(task.request)

        # The worker's own events tell when a step starts and ends: an async step outlives its Celery task,
        # and one that continues in place has none.
        self.app.task(name=step.task_name, bind=True, send_events=False, ignore_result=True, shared=False)(deliver)

    @property
    def runtime(self) -> Runtime:
        """The runtime of this process; a forked child makes its own."""
        if self._runtime is None or self._runtime_pid != os.getpid():
            replace = self._replace_process if self.node_is_here else self._leave_child
            gate = self.gate if self._wire is None else Gate(self._wire.tell)
            self._runtime = Runtime(self.app, self.settings, self.node, replace, gate)
            self._runtime_pid = os.getpid()
        return self._runtime

    @property
    def node_is_here(self) -> bool:
        """Whether this is the process that Celery's node runs in, and not a child of its pool."""
        return self._node_pid == os.getpid()

    def connect(self) -> None:
        self.app.steps["worker"].add(_bootstep("Beginning", "celery.worker.components:Pool", self._begin))
        self.app.steps["consumer"].add(_bootstep("Gatekeeping", "celery.worker.consumer.tasks:Tasks", self._keep_gate))
        when_it_runs(signals.celeryd_init, self.app, self._begin_node)

    def _begin_node(self, sender: str = "", conf: Any = None, options: Any = None, **_: Any) -> None:
        """Note that this worker begins: Celery's signals may be about any worker of the process."""
        pool = options.get("pool") or options.get("pool_cls") or conf.worker_pool
        self.is_prefork_parent = "prefork" in str(pool)
        self.node = sender
        self._node_pid = os.getpid()
        if self.is_prefork_parent:
            self._wire = Wire()
        for signal, handler in (
            (signals.worker_process_init, self._begin_child),
            (signals.heartbeat_sent, self._show_running),
            (signals.task_unknown, self._pass_on),
            (signals.worker_shutting_down, self._stop_taking_work),
            (signals.worker_shutdown, self._end),
            (signals.worker_process_shutdown, self._end_child),
        ):
            signal.connect(handler, weak=False)

    def _begin(self, worker: Any) -> None:
        """Start, before the first message is taken: what fails here ends the worker, unlike in a signal's handler."""
        if queues := os.environ.pop(_QUEUES, None):
            self.app.amqp.queues.select(queues.split(","))
        slots: int = worker.pool.limit
        self._hub = worker.hub
        if self._wire is not None:
            self._wire.listen(self.gate)
        else:
            self.runtime.start(slots)
            wake_when_freed(worker.pool, worker.hub)
        bells = Deployment(self.settings).bells
        self._watchdog = Watchdog(self.app, bells, self.gate, slots, self._replace_process)
        self._watchdog.start()
        self._quarantine = Quarantine(self.app, self.settings, self.node)
        self._quarantine.start()
        if self._wire is None:
            self.runtime.unclaimed = self._quarantine.look_soon
        self._passing = Passing(bells)
        self._passing.start()
        metrics.serve(self.settings.metrics_port, self.settings.metrics_host)

    def _keep_gate(self, consumer: Any) -> None:
        """Ask Redis for no message while the gate is closed; for each connection anew."""
        consumer.task_consumer.channel.may_ask = lambda: self.gate.is_open

    def _wake(self, is_open: bool) -> None:
        if is_open and self._hub is not None:
            wake(self._hub)

    def _begin_child(self, **_: Any) -> None:
        self.runtime.start(slots=1)

    def _show_running(self, sender: Any = None, **_: Any) -> None:
        """Have heartbeats count running steps; with prefork they run in children, each in its message."""
        if self._runtime is not None and not self.is_prefork_parent:
            show_running(sender, self._runtime.active.__len__)

    def _pass_on(self, message: Any = None, **_: Any) -> None:
        if self._passing is not None:
            self._passing.keep(message)

    def _stop_taking_work(self, **_: Any) -> None:
        self._leaving = True
        if self._watchdog is not None:
            self._watchdog.stop()
        if self._quarantine is not None:
            self._quarantine.stop()
        if self.is_prefork_parent:
            drain.drain_children(self.settings, self.node, then=self._leave)
        else:
            drain.drain_threads(self.runtime, then=self._leave)

    def _end(self, **_: Any) -> None:
        if not self.is_prefork_parent:
            self.runtime.stop()
        self._end_others()

    def _end_others(self) -> None:
        """End what belongs to the process that takes messages."""
        if self._passing is not None:
            self._passing.end()
        if self._quarantine is not None:
            self._quarantine.end()

    def _leave(self) -> None:
        self._end_others()
        drain.leave()

    def _begin_again(self) -> None:
        self._end_others()
        drain.begin_again()

    def _end_child(self, **_: Any) -> None:
        self.runtime.stop()

    def _replace_process(self) -> None:
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
        drain.replace_threads(self.runtime, lambda: self._leave() if self._leaving else self._begin_again())

    def _leave_child(self) -> None:
        """End this child; the pool starts another one in its place."""
        self.runtime.release_all()
        os._exit(1)


def _bootstep(name: str, after: str, start: Callable[[Any], None]) -> type[bootsteps.StartStopStep]:
    """A step of Celery's start, after the one that is named. (It swallows what the handlers of its signals raise.)"""

    def run(step: Any, parent: Any) -> None:
        start(parent)

    return type(name, (bootsteps.StartStopStep,), {"requires": (after,), "start": run})
