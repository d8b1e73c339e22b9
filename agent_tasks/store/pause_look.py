"""Whether anything is paused, asked of Postgres once a second at most."""

from time import monotonic

from agent_tasks.store.database import Database
from agent_tasks.store.queries import pauses

_SECONDS = 1.0


class PauseLook:
    """Answers by the last look, where that was a moment ago: whoever reads the mirror is to need no Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._until = 0.0
        self._any = False

    def any_holds(self) -> bool:
        """Whether a pause of anything holds, or did a second ago. Raises ServerAway."""
        if monotonic() >= self._until:
            with self._database.connection() as connection:
                self._any = pauses.any_hold(connection)
            self._until = monotonic() + _SECONDS
        return self._any

    def forget(self) -> None:
        """Look again at the next question: this process has paused something, or ended a pause."""
        self._until = 0.0
