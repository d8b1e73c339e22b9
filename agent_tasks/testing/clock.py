"""The clock of a test: Postgres's, for the database of the test alone."""

from collections.abc import Callable
from datetime import datetime, timedelta

from agent_tasks.errors import InvalidInput
from agent_tasks.testing import moved_clock
from agent_tasks.testing.deployment import TestedDeployment
from agent_tasks.testing.sweeps import Kind


class Clock:
    """Moves what Postgres takes for now in the test's database; the machine's clock goes on as it is."""

    def __init__(self, client: TestedDeployment, run: Callable[[Kind | None], None]) -> None:
        """`run` runs what is due: of this kind, or all that is."""
        self._client = client
        self._run = run
        self._ahead = timedelta(0)

    @property
    def ahead(self) -> timedelta:
        """How far the clock is ahead of the machine's."""
        return self._ahead

    def now(self) -> datetime:
        """Return what the clock shows, in UTC."""
        with self._client.database.connection() as connection:
            return moved_clock.read(connection)

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass: move the clock from one due timer or schedule to the next, and run at each what is due.

        What a step sets a timer for on the way is due in its turn. Raises InvalidInput for a negative time, and what
        `run_until_idle` raises.
        """
        passing = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if passing < timedelta(0):
            raise InvalidInput("advance takes a time that is not negative: Postgres's clock goes forward", field="days")
        self._run(None)  # first: what is pending sets its timers before any time passes
        until = self.now() + passing
        while (kind := self._move(until)) is not None:
            self._run(kind)
        self._run(None)

    def advance_to_next(self, *, days: float) -> bool:
        """Let time pass until the next timer or schedule is due, and run that; returns False if none is for so long."""
        kind = self._move(self.now() + timedelta(days=days))
        if kind is not None:
            self._run(kind)
        return kind is not None

    def reset(self) -> None:
        """Forget how far a test before this one had moved the clock: its database is gone."""
        self._ahead = timedelta(0)

    def _move(self, until: datetime) -> Kind | None:
        with self._client.database.connection() as connection:
            moved = moved_clock.move_to_next(connection, until)
        self._ahead = moved["ahead"]
        return moved["kind"]
