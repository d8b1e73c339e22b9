"""The doorbell of a test: bells stay in the process, and the worker there takes them from here."""

from collections import deque
from collections.abc import Sequence

from agent_tasks.doorbell.bell import Taken
from agent_tasks.doorbell.bells import Bells, Keep
from agent_tasks.task.row import BellRow
from agent_tasks.transitions.claim import Wanted


class Doorbell(Bells):
    """Keeps what was rung for, in order, until it is taken."""

    path = "memory"
    why = "worker and sweeper of a test are in its process"

    def __init__(self) -> None:
        self._rung: deque[Wanted] = deque()

    @property
    def place(self) -> str:
        return "memory"

    def take(self) -> Wanted | None:
        """Return the step that was rung for first; None where nothing was."""
        return self._rung.popleft() if self._rung else None

    def forget(self) -> None:
        self._rung.clear()

    def ring(self, rows: Sequence[BellRow], keep: Keep) -> bool:
        self._rung.extend(Wanted(row["id"], row["step"], row["step_number"]) for row in rows)
        return True

    def put_back(self, messages: Sequence[Taken]) -> bool:
        return False  # nothing is taken from here as a message

    def waiting(self, queues: Sequence[str]) -> dict[str, int | None]:
        return dict.fromkeys(queues)

    def bells_waiting(self, queues: Sequence[str]) -> dict[str, int | None]:
        return dict.fromkeys(queues)

    def problem(self) -> str | None:
        return None

    def close(self) -> None:
        self.forget()
