"""Operations of a worker that is lost at a given moment of its step."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from agent_tasks.engine.steps.operations import DatabaseAway, StepOperations

T = TypeVar("T")


class Perishable(StepOperations):
    """Operations of a worker that is lost: from its n-th moment on, before or after a write, it does nothing more."""

    def __init__(self, *args: Any, moments: int | None) -> None:
        super().__init__(*args)
        self.is_lost = False
        self._left = moments
        self._counting = threading.Lock()

    def _durably(self, write: Callable[[], T]) -> T:
        self._moment()
        written = super()._durably(write)
        self._moment()
        return written

    def _moment(self) -> None:
        with self._counting:
            if self._left is not None:
                self._left -= 1
                self.is_lost = self.is_lost or self._left < 0
        if self.is_lost:
            raise self._breaks(DatabaseAway("the worker is lost"))
