"""Bells that Redis did not take, rung as soon as it is back."""

import logging
import threading
from collections.abc import Callable, Sequence
from uuid import UUID

from agent_tasks.task.row import BellRow

log = logging.getLogger(__name__)
MOST = 10_000
"""How many bells are kept; the sweep rings the rest, and all of a program that ends before."""
_AGAIN_SECONDS = 1.0


class UnsentBells:
    """Keeps the newest bell of each task, and a thread for as long as there are any."""

    def __init__(self, send: Callable[[Sequence[BellRow]], bool]) -> None:
        """Keep bells for `send`, which returns whether Redis took them."""
        self._send = send
        self._lock = threading.Lock()
        self._rows: dict[UUID, BellRow] = {}
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def keep(self, rows: Sequence[BellRow]) -> None:
        with self._lock:
            for row in rows:
                if len(self._rows) < MOST or row["id"] in self._rows:
                    self._rows[row["id"]] = row
            if self._rows and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name="agent-tasks-unsent", daemon=True)
                self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(_AGAIN_SECONDS):
            kept = dict(self._rows)
            if not self._send(list(kept.values())):
                continue
            log.info("sent the messages that Redis had not taken: tasks=%d", len(kept))
            with self._lock:
                self._rows = {task_id: row for task_id, row in self._rows.items() if kept.get(task_id) is not row}
                if not self._rows:
                    self._thread = None
                    return
