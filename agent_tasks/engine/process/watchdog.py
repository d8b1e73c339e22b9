"""The watchdog of a consuming process: messages wait, slots are free, and nothing is taken."""

import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

from celery import signals
from celery.worker import state

from agent_tasks.doorbell.bells import Bells
from agent_tasks.engine.process.gate import Gate

log = logging.getLogger(__name__)
STUCK_SECONDS = 20.0
_TICK_SECONDS = 2.0


class Watchdog:
    """Restarts the process when Celery has stopped consuming, as it may after Redis came back (celery#8030)."""

    def __init__(self, app: Any, bells: Bells, gate: Gate, slots: int, restart: Callable[[], None]) -> None:
        self._bells = bells
        self._app = app
        self._gate = gate
        self._slots = slots
        self._restart = restart
        self._fine_at = monotonic()
        self._closed = threading.Event()
        signals.task_received.connect(self._took, weak=False)

    def start(self) -> None:
        threading.Thread(target=self._run, name="agent-tasks-watchdog", daemon=True).start()

    def stop(self) -> None:
        self._closed.set()

    def _took(self, **_: Any) -> None:
        self._fine_at = monotonic()

    def _run(self) -> None:
        while not self._closed.wait(_TICK_SECONDS):
            if self._is_fine():
                self._fine_at = monotonic()
            elif monotonic() - self._fine_at > STUCK_SECONDS:
                log.error(
                    "consuming stopped, the worker restarts: no message was taken for %.0f s",
                    STUCK_SECONDS,
                )
                self._restart()
                return

    def _is_fine(self) -> bool:
        if len(state.reserved_requests) >= self._slots or not self._gate.is_open:
            return True
        queues = list(self._app.amqp.queues.consume_from)  # without those that `celery control` has cancelled
        # None is fine: it cannot consume while the broker is away; the time counts from its return
        return not any(self._bells.waiting(queues).values())
