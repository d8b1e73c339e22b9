"""What rings: the interface of the ways by which bells reach the broker."""

from collections.abc import Sequence
from typing import Protocol

from agent_tasks.doorbell.bell import Taken
from agent_tasks.task.row import BellRow


class Bells(Protocol):
    """Thread-safe. Nothing is raised for a broker that is away, and no call waits for it for long."""

    path: str
    """Which way it is: `redis` or `producer`."""
    why: str
    """Why this one is used."""

    def ring(self, rows: Sequence[BellRow]) -> bool:
        """Ring for these tasks; return False if any bell may not have reached the broker."""
        ...

    def put_back(self, messages: Sequence[Taken]) -> bool:
        """Send messages again that a worker took, to be taken next where the broker has an order; as `ring`."""
        ...

    def waiting(self, queues: Sequence[str]) -> dict[str, int | None]:
        """Return how many messages wait in each of these queues; None where nobody can say."""
        ...

    def problem(self) -> str | None:
        """Ask the broker for an answer, and return why there is none; None if there is one."""
        ...

    def close(self) -> None: ...
