"""A process of the quarantine: it claims suspect steps, runs them as a worker does, and ends when there are none."""

import faulthandler
import json
import logging
import os
import signal
import sys
import threading
from time import monotonic
from typing import Any

from agent_tasks.authoring.agent import loaded_steps
from agent_tasks.doorbell.installed import installed_by
from agent_tasks.engine.process.application import make_worker_app
from agent_tasks.engine.process.gate import Gate
from agent_tasks.engine.process.loading import load
from agent_tasks.engine.process.quarantine import Order
from agent_tasks.engine.process.runtime import Runtime
from agent_tasks.errors import InvalidInput
from agent_tasks.settings import Settings
from agent_tasks.store.errors import Transient
from agent_tasks.transitions.claim import claim_suspect

log = logging.getLogger(__name__)
_FORMAT = "[%(asctime)s: %(levelname)s/quarantine %(process)d] %(message)s"
_IDLE_SECONDS = 3.0
"""How long a process without a step waits for the next one."""
_LOOK_SECONDS = 0.5
COMPANY_SECONDS = 60.0
"""A step suspected once that has run for so long gets company: other suspects are not to wait for hours."""
_HUNG_LEASES = 3


def main(order: str) -> None:
    """Run one process for `agent_tasks.engine.process.quarantine`, whose Order comes as JSON."""
    Quarantined(Order(**json.loads(order))).run()


class Quarantined:
    """Runs the suspects of one order, one at a time; a step that was suspected again in a process of its own."""

    def __init__(self, order: Order) -> None:
        logging.basicConfig(level=order.level, format=_FORMAT, stream=sys.stderr)
        app, settings = _app_of(order)
        app.amqp.queues.select(order.queues)
        self._order = order
        self._leaving = threading.Event()
        self._taken_at: float | None = None
        self._steps = list(loaded_steps())
        self._runtime = Runtime(app, settings, order.node, self._leave_at_once, Gate())

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._leaving.set())
        self._runtime.start(slots=1)
        threading.Thread(target=self._watch, name="agent-tasks-watch", daemon=True).start()
        self._take_all()
        self._runtime.stop()
        self._leave()

    def _take_all(self) -> None:
        """Take steps until there was none for a while, or the one step that was to be alone has ended."""
        idle_since = monotonic()
        while not self._leaving.is_set():
            took = self._may_take() and self._take()
            if not self._runtime.active.wait_until_empty(_LOOK_SECONDS) or took:
                idle_since = monotonic()
            elif monotonic() - idle_since > _IDLE_SECONDS or (self._is_alone and self._taken_at):
                return
            else:
                self._leaving.wait(_LOOK_SECONDS)

    @property
    def _is_alone(self) -> bool:
        return self._order.suspect > 1

    def _may_take(self) -> bool:
        if not self._runtime.gate.wait(_LOOK_SECONDS):
            return False
        if self._taken_at is None or self._is_alone:
            return self._taken_at is None
        return not self._runtime.active.all() or monotonic() - self._taken_at > COMPANY_SECONDS

    def _take(self) -> bool:
        """Claim a suspect and begin it; whether there was one."""
        try:
            with self._runtime.client.database.connection() as connection:
                taken = claim_suspect(
                    connection,
                    suspect=self._order.suspect,
                    queues=self._order.queues,
                    steps=self._steps,
                    worker=self._runtime.worker_id,
                    lease_seconds=self._runtime.settings.lease_seconds,
                )
        except Transient as error:
            log.warning("nothing claimed, postgres is away: %s", error)
            return False
        if taken is None:
            return False
        self._taken_at = monotonic()
        if isinstance(taken, ValueError):
            log.error("a step cannot be read by this release, its lease expires: %s", taken)
        else:
            self._runtime.executor.run_apart(taken)
        return True

    def _watch(self) -> None:
        """Leave with the worker, and end where a step keeps all threads from running: nothing else could."""
        while not self._leaving.is_set():
            faulthandler.dump_traceback_later(_HUNG_LEASES * self._runtime.settings.lease_seconds, exit=True)
            if os.getppid() != self._order.parent:
                self._leave_at_once()
            self._leaving.wait(_LOOK_SECONDS)
        faulthandler.cancel_dump_traceback_later()

    def _leave_at_once(self, why: str = "the worker is gone") -> None:
        """Give the steps back and end the process."""
        log.warning("%s, the steps of this process are given back", why)
        self._runtime.release_all()
        self._leave()

    def _leave(self) -> None:
        """End the process, and with it any thread of a step's that still runs."""
        logging.shutdown()
        os._exit(0)


def _app_of(order: Order) -> tuple[Any, Settings]:
    """Return the worker's app, with its agents loaded, and the settings. Raises InvalidInput where it cannot be had."""
    if not order.installed_by:
        return make_worker_app(), Settings.load()
    found = installed_by(order.installed_by)
    if found is None:
        raise InvalidInput(
            f"{order.installed_by} was imported and calls install(app) no more: call it as it is imported"
        )
    found.app.loader.import_default_modules()
    found.app.finalize()
    found.app.set_default()  # what its steps take for the current app, in every thread
    settings = found.settings or Settings.load()
    load(settings)
    for name in order.queues:  # those of ours that the worker has added: an app may make no missing ones
        found.app.amqp.queues.setdefault(name, found.app.amqp.queues.new_missing(name))
    return found.app, settings
