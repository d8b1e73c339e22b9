"""The results of the children that a step joins, read from Postgres on demand, a part at a time."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from agent_tasks.errors import TaskNotFound

PART_BYTES = 16 * 1024 * 1024
"""The bytes of results that are read and held at once; a larger result is a part of its own."""


class ChildResults:
    """Holds one part of the results at any time: another part takes its place.

    `sizes` are the children in their order, with the bytes of their results; `read` finds the results of some of them.
    """

    def __init__(
        self,
        sizes: Mapping[UUID, int],
        read: Callable[[Sequence[UUID]], Mapping[UUID, Any]],
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._parts: list[list[UUID]] = []
        self._part_of: dict[UUID, int] = {}
        self._loaded: int | None = None
        self._values: Mapping[UUID, Any] = {}
        room = -1
        for task_id, size in sizes.items():
            room -= size
            if room < 0:
                self._parts.append([])
                room = part_bytes - size
            self._parts[-1].append(task_id)
            self._part_of[task_id] = len(self._parts) - 1

    def load(self, task_id: UUID) -> Any:
        """Return the result of a child. Raises TaskNotFound if it was purged, long after the step."""
        with self._lock:
            part = self._part_of[task_id]
            if self._loaded != part:
                self._loaded, self._values = None, {}  # let go before the next part comes
                self._values, self._loaded = self._read(self._parts[part]), part
            if task_id not in self._values:
                raise TaskNotFound(f"The result of child {task_id} was purged with its task, after its retention.")
            return self._values[task_id]


class UnreadResult:
    """A placeholder in a ChildOutcome until the result is asked for; copied or pickled, it is the result itself."""

    def __init__(self, results: ChildResults, task_id: UUID) -> None:
        self._results = results
        self._task_id = task_id

    def load(self) -> Any:
        return self._results.load(self._task_id)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, UnreadResult):
            return other._task_id == self._task_id or other.load() == self.load()
        return bool(self.load() == other)

    def __hash__(self) -> int:
        return hash(self.load())

    def __repr__(self) -> str:
        return "<not read yet>"

    def __reduce__(self) -> tuple[Callable[[Any], Any], tuple[Any]]:
        return _itself, (self.load(),)


def _itself(value: Any) -> Any:
    return value
