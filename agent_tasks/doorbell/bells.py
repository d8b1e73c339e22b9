"""What rings: the interface of the ways by which bells reach the broker."""

from collections.abc import Sequence
from typing import Protocol

from agent_tasks.doorbell.bell import Taken
from agent_tasks.doorbell.unsent import Keep
from agent_tasks.task.row import BellRow


class Bells(Protocol):
    """Thread-safe. Nothing is raised for a broker that is away, and no call waits for it for long."""

    path: str
    """Which way it is: `redis` or `producer`."""
    why: str
    """Why this one is used."""

    @property
    def place(self) -> str:
        """Where bells go: the same text as a worker that takes them has in its row."""
        ...

    def ring(self, rows: Sequence[BellRow], keep: Keep) -> bool:
        """Ring for these tasks; return False if any bell has not reached the broker.

        Those bells are handed to `keep`, at once or when a slow broker fails later, to be rung again. One that the
        broker refuses for its queue is not: the sweep rings again for it.
        """
        ...

    def put_back(self, messages: Sequence[Taken]) -> bool:
        """Send messages again that a worker took, to be taken next where the broker has an order.

        Return False if any may not have reached the broker.
        """
        ...

    def waiting(self, queues: Sequence[str]) -> dict[str, int | None]:
        """Return how many messages wait in each of these queues; None where nobody can say."""
        ...

    def bells_waiting(self, queues: Sequence[str]) -> dict[str, int | None]:
        """Return how many bells wait in each of these queues; None where nobody can say, as where messages of others
        wait among them."""
        ...

    def problem(self) -> str | None:
        """Ask the broker for an answer, and return why there is none; None if there is one."""
        ...

    def close(self) -> None: ...
