"""The sweeper with a clock of its own: it needs no beat, and no broker for its ticks."""

import logging
import os
import signal
import threading
from time import monotonic

from agent_tasks import logs, metrics
from agent_tasks.backlog import Backlog
from agent_tasks.client.client import AgentTasks
from agent_tasks.settings import Settings
from agent_tasks.sweeps.application import rhythms
from agent_tasks.sweeps.sweeper import Sweeper
from agent_tasks.tracing.provider import provide

log = logging.getLogger(__name__)
_LOG = "[%(asctime)s: %(levelname)s] %(message)s"
_LEAVE_SECONDS = 10.0
"""How long a sweep that runs may take to end; one that is cut short is rolled back, and run again by the next."""


def serve(settings: Settings, *, loglevel: str) -> None:
    """Sweep until SIGTERM or SIGINT. Any number of sweepers serve one deployment, with a clock or without."""
    logging.basicConfig(level=loglevel, format=_LOG)
    logs.set_up(settings.log_format)
    provide("agent-tasks-sweeper", is_on=settings.traces)
    client = AgentTasks(settings)
    metrics.serve(settings.metrics_port, settings.metrics_host, Backlog(client))
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        _ = client.bells  # an app that cannot be used ends the process here, with the reason
        Clocked(Sweeper(client), rhythms(settings), stopping).run()
    finally:
        client.close()


class Clocked:
    """Runs each round of sweeps in a thread of its own: none waits for another."""

    def __init__(self, sweeper: Sweeper, seconds: dict[str, float], stopping: threading.Event) -> None:
        self._sweeper = sweeper
        self._seconds = seconds
        self._stopping = stopping

    def run(self) -> None:
        threads = [threading.Thread(target=self._tick, args=[name], name=name, daemon=True) for name in self._seconds]
        for thread in threads:
            thread.start()
        log.info("sweeper running, with a clock of its own pid=%d", os.getpid())
        while not self._stopping.wait(60.0):  # a handler of signals runs between two waits
            continue
        ends = monotonic() + _LEAVE_SECONDS
        for thread in threads:
            thread.join(max(0.0, ends - monotonic()))
        log.info("sweeper ends")

    def _tick(self, name: str) -> None:
        while not self._stopping.is_set():
            try:
                if name == "sweep":
                    self._sweeper.run_due()
                else:
                    self._sweeper.run(name)
            except Exception:  # the next tick tries again: nothing sweeps once this thread has ended
                log.exception("round of sweeps failed: round=%s", name)
            self._stopping.wait(self._seconds[name])
