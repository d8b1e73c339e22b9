"""Passing on: a bell whose step this worker has no code for goes back to its queue in a moment, for another worker."""

import heapq
import logging
import random
import threading
from itertools import count
from time import monotonic
from typing import Any

from agent_tasks.doorbell import bell
from agent_tasks.doorbell.bell import Taken
from agent_tasks.doorbell.bells import Bells

log = logging.getLogger(__name__)
_FIRST_SECONDS, _LONGEST_SECONDS = 0.25, 1.0
_MOST = 10_000
"""How many bells are kept at once; the sweep rings again what is lost beyond them."""
_BATCH = 500


class Passing:
    """Keeps each such bell for a moment that grows with each pass, so that two workers without its code do not throw
    it to and fro. A thread of the process that consumes messages.

    Nothing hangs on it: it knows no more than the message says, and where a bell is lost the sweep rings another.
    """

    def __init__(self, bells: Bells) -> None:
        self._bells = bells
        self._kept: list[tuple[float, int, Taken]] = []
        self._order = count()
        self._changed = threading.Condition()

    def start(self) -> None:
        threading.Thread(target=self._run, name="agent-tasks-passing", daemon=True).start()

    def keep(self, message: Any) -> None:
        """Keep a message that Celery has for a task that it does not know."""
        passed = bell.passed_on(message)
        if passed is None:
            return
        pause = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2 ** message.headers.get(bell.PASSES_HEADER, 0))
        due = monotonic() + pause * random.uniform(0.5, 1.0)  # Redis gives it to the worker that has waited for longest
        with self._changed:
            if len(self._kept) < _MOST:
                heapq.heappush(self._kept, (due, next(self._order), passed))
                self._changed.notify()

    def end(self) -> None:
        """Put all of them back: this worker takes no more."""
        with self._changed:
            kept = [passed for _, _, passed in sorted(self._kept, key=lambda each: each[:2])]
            self._kept.clear()
        self._put_back(kept)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (due := self._due()):
                    self._changed.wait(self._kept[0][0] - monotonic() if self._kept else None)
            self._put_back(due)

    def _due(self) -> list[Taken]:
        due: list[Taken] = []
        while self._kept and len(due) < _BATCH and self._kept[0][0] <= monotonic():
            due.append(heapq.heappop(self._kept)[2])
        return due

    def _put_back(self, messages: list[Taken]) -> None:
        if not self._bells.put_back(messages):
            log.warning("%d messages not passed on, the sweep sends others", len(messages))
