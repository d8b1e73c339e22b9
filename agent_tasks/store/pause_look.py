"""Which tasks may be paused, asked of Postgres once a second at most."""

from time import monotonic

from agent_tasks.store.database import Database
from agent_tasks.store.queries import pauses
from agent_tasks.task.snapshot import TaskSnapshot

_SECONDS = 1.0
_MOST = 1000
"""The most pauses that are told apart: of more, any task may be meant."""


class PauseLook:
    """Answers by the last look, where that was a moment ago: whoever reads the mirror is to need no Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._until = 0.0
        self._paused: set[tuple[str, str, str | None]] = set()

    def may_hold(self, task: TaskSnapshot) -> bool:
        """Whether a pause may hold for the task, or did a second ago.

        Raises ServerAway, and for the second after that answers by the last look that there was.
        """
        if monotonic() >= self._until:
            try:
                with self._database.connection() as connection:
                    self._paused = pauses.living_targets(connection, limit=_MOST)
            finally:
                self._until = monotonic() + _SECONDS
        if not self._paused or len(self._paused) >= _MOST:
            return bool(self._paused)
        tenant = task.identity.tenant if task.identity else None
        named = [("task", str(task.root_id), None)]
        for kind, name in (("agent", task.agent), ("queue", task.queue)):
            named += [(kind, name, None), (kind, name, tenant)]
        if tenant is not None:
            named.append(("tenant", tenant, None))
        return not self._paused.isdisjoint(named)

    def forget(self) -> None:
        """Look again at the next question: this process has paused something, or ended a pause."""
        self._until = 0.0
