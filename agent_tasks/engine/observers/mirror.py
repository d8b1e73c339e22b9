"""Mirroring what steps do: a task that changes many times in a moment is read and shown once."""

import logging
import threading
from time import monotonic, thread_time
from uuid import UUID

from agent_tasks.deployment import Deployment
from agent_tasks.store.errors import Transient
from agent_tasks.store.queries import read

log = logging.getLogger(__name__)
GATHERING_SECONDS, SECONDS = 0.005, 0.05
"""How far the mirror is behind a step that runs, at least and at most; an end is shown at once, after its commit.

A change is shown after a moment, in which a short step may well end. A pause follows that is `_SHARE` times as long as
showing has kept a processor busy: a few milliseconds where little happens, and all of SECONDS where much does.
"""
_SHARE = 20


class Mirroring:
    """A thread that shows the tasks noted since it last did; it sleeps while there are none."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._lock = threading.Lock()
        self._changed: set[UUID] = set()
        self._noted = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="agent-tasks-mirroring", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def note(self, task_id: UUID) -> None:
        """Note that the task has changed. From any thread."""
        with self._lock:
            self._changed.add(task_id)
        self._noted.set()

    def forget(self, task_id: UUID) -> None:
        """Forget a change that somebody else is showing."""
        with self._lock:
            self._changed.discard(task_id)

    def close(self) -> None:
        self._closed.set()
        self._noted.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        pause_ends = 0.0
        while not self._closed.is_set():
            self._noted.wait()
            self._closed.wait(max(GATHERING_SECONDS, pause_ends - monotonic()))
            self._noted.clear()
            began = thread_time()
            try:
                self._show()
            except Exception:  # readers are only behind until the mirror expires; the thread must outlive any surprise
                log.exception("status not copied to Redis")
            busy = thread_time() - began
            pause_ends = monotonic() + min(SECONDS, _SHARE * busy)

    def _show(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, set()
        if not changed or self._deployment.publisher.tell_of(changed):
            return
        try:
            with self._deployment.database.connection() as connection:
                rows = read.find_many(connection, list(changed))
        except Transient as error:
            log.warning("status not copied to Redis, Postgres cannot be reached: %s", error)
            return
        self._deployment.publisher.show(rows)
