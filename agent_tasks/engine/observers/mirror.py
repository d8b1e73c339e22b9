"""Mirroring what steps do: a task that changes many times in a moment is read and shown once."""

import logging
import threading
from uuid import UUID

from agent_tasks.deployment import Deployment
from agent_tasks.store.errors import Transient
from agent_tasks.store.queries import read

log = logging.getLogger(__name__)
SECONDS = 0.05
"""How far the mirror may be behind a step that runs. An end is shown at once, after its commit."""


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
        while not self._closed.is_set():
            self._noted.wait()
            self._closed.wait(SECONDS)
            self._noted.clear()
            try:
                self._show()
            except Exception:  # readers are only behind until the mirror expires; the thread must outlive any surprise
                log.exception("status not copied to Redis")

    def _show(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, set()
        if not changed:
            return
        try:
            with self._deployment.database.connection() as connection:
                rows = read.find_many(connection, list(changed))
        except Transient as error:
            log.warning("status not copied to Redis, Postgres cannot be reached: %s", error)
            return
        self._deployment.publisher.show(rows)
