"""The clock of beat: it sleeps until a tick is due."""

from celery.beat import Scheduler


class Clock(Scheduler):
    """Celery's scheduler, which wakes ten milliseconds before each tick and spins until it is due: at two ticks a
    second that was most of what an idle system used."""

    def adjust(self, n: float, drift: float = 0.0) -> float:
        return n
