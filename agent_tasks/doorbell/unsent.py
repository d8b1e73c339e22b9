"""Bells that the broker did not take, rung as soon as it is back."""

import logging
import threading
from collections.abc import Callable, Sequence
from uuid import UUID

from agent_tasks.task.row import BellRow

log = logging.getLogger(__name__)
MOST = 10_000
"""How many bells are kept; the sweep rings the rest, and all of a program that ends before."""
_AGAIN_SECONDS = 1.0
Keep = Callable[[Sequence[BellRow]], None]
"""What takes the bells that did not reach the broker, from any thread."""


class UnsentBells:
    """Keeps the newest bell of each task, and a thread for as long as there are any."""

    def __init__(self, ring: Callable[[Sequence[BellRow], Keep], bool]) -> None:
        """Keep bells for `ring`, which hands back those that the broker did not take."""
        self._ring = ring
        self._lock = threading.Lock()
        self._rows: dict[UUID, BellRow] = {}
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def keep(self, rows: Sequence[BellRow]) -> None:
        with self._lock:
            for row in rows:
                kept = self._rows.get(row["id"])
                if (len(self._rows) < MOST) if kept is None else (kept["version"] <= row["version"]):
                    self._rows[row["id"]] = row
            if self._rows and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name="agent-tasks-unsent", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError as error:
                    log.warning("bells are kept until there are more: no thread can be started: %s", error)

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(_AGAIN_SECONDS):
            with self._lock:
                if not self._rows:
                    self._thread = None
                    return
                rows, self._rows = list(self._rows.values()), {}
            if self._ring(rows, self.keep):
                log.info("sent the messages that the broker had not taken: tasks=%d", len(rows))
