"""A worker process: what is the same whether Celery runs it for an app of ours or of a team's."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any

from celery import bootsteps, signals

from agent_tasks import logs, metrics
from agent_tasks.authoring.step import Step
from agent_tasks.deployment import Deployment
from agent_tasks.doorbell.bells import Bells
from agent_tasks.doorbell.step_task import StepTask
from agent_tasks.engine.process import drain
from agent_tasks.engine.process.gate import Gate
from agent_tasks.engine.process.passing import Passing
from agent_tasks.engine.process.pools import is_for_one_message, is_prefork
from agent_tasks.engine.process.quarantine import Quarantine
from agent_tasks.engine.process.runtime import Runtime
from agent_tasks.engine.process.terms import OURS
from agent_tasks.settings import Settings


class WorkerProcess(ABC):
    """One operating-system process: a Runtime where steps run, a Quarantine where messages are consumed.

    With a pool of threads or greenlets both are in one process; with prefork the runtimes are in the children. A
    subclass says what we may do to a process: `OwnProcess` to one of ours, `GuestProcess` to one that a team runs.
    """

    terms = OURS

    def __init__(self, app: Any, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.node = ""
        self.is_prefork_parent = False
        self._is_for_one_message = False
        self._node_pid = 0
        self._runtime: Runtime | None = None
        self._runtime_pid = 0
        self._begun_pid = 0
        self._quarantine: Quarantine | None = None
        self._passing: Passing | None = None

    def register(self, step: Step, **options: Any) -> None:
        """Register the Celery task of a step."""

        def deliver(task: Any) -> None:
            self.take(task.request)

        self.app.task(base=StepTask, name=step.task_name, bind=True, shared=False, **options)(deliver)

    def take(self, request: Any) -> None:
        """Run the step that a message of Celery names. A process that ends with this message waits for its end: Celery
        would give the next message to a process that only ends."""
        if self.begun is None:
            self.hand_on(request)
            return
        self.runtime.take(request)
        if self._is_for_one_message:
            self.runtime.active.wait_until_empty(None)

    @property
    def runtime(self) -> Runtime:
        """The runtime of this process; a forked child makes its own."""
        if self._runtime is None or self._runtime_pid != os.getpid():
            self._runtime = Runtime(
                self.app,
                self.settings,
                self.node,
                self.lost_too_much,
                self.gate_of_runtime(),
                self.terms,
            )
            self._runtime_pid = os.getpid()
        return self._runtime

    @property
    def begun(self) -> Runtime | None:
        """The runtime of this process, if it has begun: not where that failed."""
        return self._runtime if self._begun_pid == os.getpid() else None

    @property
    def node_is_here(self) -> bool:
        """Whether this is the process that Celery's node runs in, and not a child of its pool."""
        return self._node_pid == os.getpid()

    @cached_property
    def bells(self) -> Bells:
        """The bells of the process that takes messages."""
        return Deployment(self.settings).bells

    def connect(self) -> None:
        """Have Celery begin our part before it takes the first message."""
        self.app.steps["worker"].add(bootstep("Beginning", "celery.worker.components:Pool", self.begin))

    def begin_node(self, sender: str = "", conf: Any = None, options: Any = None, **_: Any) -> None:
        """Note that this worker begins: Celery's signals may be about any worker of the process."""
        self.is_prefork_parent = is_prefork(conf, options)
        self._is_for_one_message = self.is_prefork_parent and is_for_one_message(conf, options)
        self.node = sender
        self._node_pid = os.getpid()
        for signal, handler in (
            (signals.worker_process_init, self._begin_child),
            (signals.task_unknown, self._pass_on),
            (signals.worker_shutting_down, self.stop_taking_work),
            (signals.worker_shutdown, self._end),
            (signals.worker_process_shutdown, self._end_child),
        ):
            signal.connect(handler, weak=False)

    def begin(self, worker: Any) -> None:
        """Start, before the first message is taken: what fails here ends the worker, unlike in a signal's handler."""
        if not self.is_prefork_parent:
            self._begin_runtime(worker.pool.limit)
        self._quarantine = self.make_quarantine()
        if self._quarantine is not None:
            self._quarantine.start()
            if not self.is_prefork_parent:
                self.runtime.unclaimed = self._quarantine.look_soon
        logs.set_up(self.settings.log_format)
        self._passing = Passing(self.bells)
        self._passing.start()
        metrics.serve(self.settings.metrics_port, self.settings.metrics_host)

    def stop_taking_work(self, **_: Any) -> None:
        """Begin the end: steps finish for a bounded time, then their leases are given back."""
        if self._quarantine is not None:
            self._quarantine.stop()
        if self.is_prefork_parent:
            self.drain_children()
        elif self.begun is not None:
            drain.drain_threads(self.runtime, then=self.leave)

    def make_quarantine(self) -> Quarantine | None:
        """Return a quarantine that has not started; None where there can be none."""
        return Quarantine(self.app, self.settings, self.node)

    @abstractmethod
    def hand_on(self, request: Any) -> None:
        """Do what there is to do with the bell that Celery took for a process whose runtime has not begun."""

    @abstractmethod
    def gate_of_runtime(self) -> Gate:
        """The gate that the heartbeat of this process's runtime opens and closes."""

    @abstractmethod
    def lost_too_much(self, why: str) -> None:
        """Cure a process that has lost too many of its slots, threads or loops."""

    @abstractmethod
    def drain_children(self) -> None:
        """End the steps of a prefork pool's children that do not end by themselves in time. Returns at once."""

    @abstractmethod
    def leave(self) -> None:
        """End a drained process that steps hold up, if that is for us to do."""

    def end_others(self) -> None:
        """End what belongs to the process that takes messages."""
        if self._passing is not None:
            self._passing.end()
        if self._quarantine is not None:
            self._quarantine.end()

    def _begin_runtime(self, slots: int) -> None:
        """Start the runtime. One that fails in the midst of it is stopped: it could beat, and take nothing."""
        runtime = self.runtime
        try:
            runtime.start(slots)
        except BaseException:
            runtime.stop()
            raise
        self._begun_pid = os.getpid()

    def _begin_child(self, **_: Any) -> None:
        self._begin_runtime(slots=1)

    def _pass_on(self, message: Any = None, **_: Any) -> None:
        if self._passing is not None:
            self._passing.keep(message)

    def _end(self, **_: Any) -> None:
        if self.begun is not None:
            self.begun.stop()
        self.end_others()

    def _end_child(self, **_: Any) -> None:
        if self.begun is not None:
            self.begun.stop()
        metrics.forget_child(os.getpid())


def bootstep(name: str, after: str, start: Callable[[Any], None]) -> type[bootsteps.StartStopStep]:
    """A step of Celery's start, after the one that is named. (It swallows what the handlers of its signals raise.)"""

    def run(step: Any, parent: Any) -> None:
        start(parent)

    return type(name, (bootsteps.StartStopStep,), {"requires": (after,), "start": run})
