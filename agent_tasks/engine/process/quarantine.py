"""The quarantine: processes of their own for steps that ran when a process died, until it is known which one did it."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, field
from time import monotonic, sleep
from typing import Any

from psycopg import errors

from agent_tasks.authoring.agent import loaded_steps
from agent_tasks.deployment import Deployment
from agent_tasks.engine.process import drain
from agent_tasks.engine.process.own_connection import OwnConnection
from agent_tasks.settings import Settings
from agent_tasks.store.errors import Transient
from agent_tasks.store.queries import read
from agent_tasks.transitions.expire import died

log = logging.getLogger(__name__)
_TICK_SECONDS = 0.2
_FRESH_SECONDS = 5.0
"""How long a new process is taken for one that has yet to take its first step."""
_SLOWEST_SECONDS = 60.0
_DATABASE_SECONDS = 5.0
_ORDERLY_SECONDS = 3.0
"""How much longer than its drain a process may take to end."""
_BEGIN = "import sys; sys.path[:] = {path!r}; from agent_tasks.engine.process.quarantined import main; main({order!r})"


@dataclass(frozen=True)
class Order:
    """The order for a process of the quarantine: whose it is, what it serves, and which suspects it takes."""

    node: str
    queues: tuple[str, ...]
    suspect: int
    level: int
    """The level of its log."""
    parent: int
    installed_by: str = ""
    """The module that installs the worker's app; empty where the app is ours."""


@dataclass(eq=False)
class QuarantineProcess:
    """A process of the quarantine, as its worker sees it."""

    popen: "subprocess.Popen[bytes]"
    order: Order
    started: float = field(default_factory=monotonic)

    @property
    def worker_id(self) -> str:
        return f"{self.order.node}/{self.popen.pid}"


class Quarantine:
    """Looks for suspect steps that this worker serves, and starts processes for them, which end when there are none.

    A thread of the process that consumes messages. Each process claims, keeps its own lease and commits as a worker
    does (`agent_tasks.engine.process.quarantined`); when it dies, this one tells Postgres at once.
    """

    def __init__(self, app: Any, settings: Settings, node: str, installed_by: str = "") -> None:
        self._app = app
        self._installed_by = installed_by
        self._settings = settings
        self._own = OwnConnection(Deployment(settings).database, _DATABASE_SECONDS)
        self._node = f"{node}/quarantine"
        self._steps = list(loaded_steps())
        self._processes: list[QuarantineProcess] = []
        self._lock = threading.Lock()
        self._noticed = threading.Event()
        self._closing = False
        self._failed = 0
        self._not_before = 0.0
        self._said = ""
        self._look_at = 0.0

    def start(self) -> None:
        threading.Thread(target=self._run, name="agent-tasks-quarantine", daemon=True).start()

    def look_soon(self) -> None:
        """Look soon: there may be a suspect step. From any thread."""
        self._noticed.set()

    def stop(self) -> None:
        """Start no more processes; those that run finish their steps for the time of a drain. Returns at once."""
        with self._lock:
            self._closing = True
            for process in self._processes:
                if process.popen.poll() is None:
                    process.popen.send_signal(signal.SIGTERM)
        self._noticed.set()

    def end(self) -> None:
        """Wait until all processes have ended, and end those that do not, giving their steps back."""
        self.stop()
        ends = monotonic() + self._settings.drain_seconds + _ORDERLY_SECONDS
        killed: list[str] = []
        for process in list(self._processes):
            try:
                process.popen.wait(max(0.0, ends - monotonic()))
            except subprocess.TimeoutExpired:
                process.popen.kill()
                process.popen.wait()
                killed.append(process.worker_id)
        if killed:
            drain.give_back(self._settings, killed)

    def _run(self) -> None:
        while not self._closing:
            self._noticed.wait(_TICK_SECONDS if self._processes else self._settings.lease_seconds / 3)
            try:
                self._bury()
                if self._noticed.is_set() or monotonic() >= self._look_at:
                    self._noticed.clear()
                    self._look_at = monotonic() + self._settings.lease_seconds / 3
                    self._look()
            except Transient as error:
                log.warning("quarantine: postgres is away: %s", error)
                sleep(1.0)
            except (errors.InsufficientPrivilege, errors.UndefinedTable, errors.UndefinedColumn) as error:
                self._say(" ".join(str(error).split()))
                sleep(1.0)
            except Exception:  # suspects wait for this thread: it must outlive any surprise
                log.exception("quarantine: will try again")
                sleep(1.0)

    def _say(self, problem: str) -> None:
        """Log what is missing in the database once, however often it comes."""
        if problem != self._said:
            self._said = problem
            log.warning("quarantine: suspect steps wait, agent-tasks doctor says what to do: %s", problem)

    def _look(self) -> None:
        if monotonic() < self._not_before:
            return
        queues = tuple(self._app.amqp.queues.consume_from)  # without those that `celery control` has cancelled
        with self._own.use() as connection:
            waiting = read.suspects(connection, queues=queues, steps=self._steps)
        for suspect, most in ((1, self._settings.quarantine_processes), (2, 1)):
            there = [process for process in self._processes if process.order.suspect == suspect]
            coming = sum(process.started > monotonic() - _FRESH_SECONDS for process in there)
            for _ in range(min(waiting.get(suspect, 0) - coming, most - len(there))):
                self._begin(suspect, queues)
        sleep(_TICK_SECONDS)  # messages for suspects may come by hundreds

    def _begin(self, suspect: int, queues: tuple[str, ...]) -> None:
        level = logging.getLogger().getEffectiveLevel()
        order = Order(self._node, queues, suspect, level, os.getpid(), self._installed_by)
        path = _with_current_folder(sys.path) if self._installed_by else sys.path
        code = _BEGIN.format(path=path, order=json.dumps(asdict(order)))
        with self._lock:
            if self._closing:
                return
            popen = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL, start_new_session=True)
            self._processes.append(QuarantineProcess(popen, order))
        log.warning("quarantine: a process begins for suspect steps: pid=%d suspected=%d", popen.pid, suspect)

    def _bury(self) -> None:
        for process in [process for process in self._processes if process.popen.poll() is not None]:
            status = process.popen.returncode
            with self._own.use() as connection:
                lost = died(connection, process.worker_id)
            self._processes.remove(process)
            for row in lost:
                what = (row["id"], row["step"], row["alone"], status)
                log.error("quarantine: a step ran when its process died: task=%s step=%s alone=%s status=%d", *what)
            self._note(status, failed=status != 0 and not lost)
            self._noticed.set()

    def _note(self, status: int, *, failed: bool) -> None:
        """Note an end; a process that did not come to take a step is not followed by another at once."""
        self._failed = self._failed + 1 if failed else 0
        if failed:
            pause = min(_SLOWEST_SECONDS, 2.0**self._failed)
            self._not_before = monotonic() + pause
            log.error("quarantine: a process failed, the next one begins in %.0f s: status=%d", pause, status)


def _with_current_folder(path: list[str]) -> list[str]:
    """Where `celery -A` has found the app: in the current folder, which it takes out of sys.path again."""
    here = os.getcwd()
    return path if here in path else [here, *path]
