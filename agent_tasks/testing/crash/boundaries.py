"""The boundaries of a task's life: where its process may end, each with a number."""

import os
import threading

from agent_tasks.testing.crash.journal import Journal

CUT = 77
"""The exit status of a process that was cut."""


class Boundaries:
    """Counts the boundaries as they are come to, and ends the process at one of them, as SIGKILL would."""

    def __init__(self, journal: Journal, cut: int | None) -> None:
        self._journal = journal
        self._cut = cut
        self._number = 0
        self._lock = threading.Lock()

    def reach(self, name: str, *, once: bool = False) -> None:
        """Come to a boundary; `once`: there an at-most-once call has begun, and nothing else is known of it."""
        with self._lock:
            self._journal.note("boundary", number=self._number, name=name, once=once)
            if self._number == self._cut:
                os._exit(CUT)
            self._number += 1
