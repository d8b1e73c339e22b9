"""The way to Redis, on which what a commit publishes may be lost, or come late and out of order."""

from collections.abc import Iterable, Sequence
from typing import Any

from agent_tasks import AgentTasks
from agent_tasks.doorbell.publisher import Publisher

Row = dict[str, Any]


class Wire(Publisher):
    """A publisher that sends, loses or holds back each batch, as its test says."""

    fate = "sent"
    """What becomes of the next batches: sent, lost or late."""

    def __init__(self, client: AgentTasks) -> None:
        super().__init__(client.publisher.keys, client.bells, client.publisher.mirror)
        self.late: list[list[Row]] = []
        self.sent: list[Row] = []

    def publish(self, rows: Iterable[Row], *, bells: Sequence[Row] = ()) -> bool:
        batch = list(rows)
        if self.fate == "late":
            self.late.append(batch)
        elif self.fate == "sent":
            self.sent += batch
            assert super().publish(batch, bells=bells)
        return True

    def deliver(self, position: int) -> None:
        """A batch that was held back arrives."""
        super().publish(self.late.pop(position))
