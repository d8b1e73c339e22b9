"""The clock of beat: it sleeps until a tick is due, and sends none where they pile up."""

import logging
from typing import Any

from celery.beat import Scheduler

from agent_tasks.doorbell.celery_app import SWEEP_QUEUE
from agent_tasks.doorbell.queue_size import queue_size

log = logging.getLogger(__name__)
MOST_TICKS = 20
"""How many ticks may wait in the queue: with no sweeper to take them they would fill Redis."""


class Clock(Scheduler):
    """Celery's scheduler, which wakes ten milliseconds before each tick and spins until it is due: at two ticks a
    second that was most of what an idle system used."""

    def adjust(self, n: float, drift: float = 0.0) -> float:
        return n

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        if self._waiting(producer) < MOST_TICKS:
            super().apply_entry(entry, producer=producer)

    def _waiting(self, producer: Any) -> int:
        """How many ticks wait; 0 where that cannot be found out, and sending will say why."""
        try:
            return queue_size(producer, SWEEP_QUEUE) or 0
        except Exception as error:  # of any transport's kind: a channel that kombu has closed raises AttributeError
            log.debug("ticks that wait were not counted: %s", error)
            return 0
