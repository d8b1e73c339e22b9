"""The step runs that a process holds: it keeps their leases alive, and drains before it ends."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from uuid import UUID

from agent_tasks.engine.steps.run import StepRun


class ActiveRuns:
    """The step runs whose leases this process keeps alive."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._runs: dict[tuple[UUID, int], StepRun] = {}
        self._arriving = 0
        self.draining = False
        """Whether the process ends: it takes no message then, and goes on with no next step in place."""

    @contextmanager
    def arriving(self) -> Generator[None]:
        """Have a drain wait while a message is taken whose claim may be on its way."""
        with self._condition:
            self._arriving += 1
        try:
            yield
        finally:
            with self._condition:
                self._arriving -= 1
                self._condition.notify_all()

    def add(self, run: StepRun) -> None:
        """Note a run that begins or goes on with its next step; stop an older run of its task."""
        with self._condition:
            self._runs[run.claim.id, run.claim.run] = run
        for older in self.of(run.claim.id):
            if older.claim.run < run.claim.run:
                older.stop()

    def remove(self, run: StepRun) -> None:
        with self._condition:
            if self.has(run):
                del self._runs[run.claim.id, run.claim.run]
                self._condition.notify_all()

    def has(self, run: StepRun) -> bool:
        return self._runs.get((run.claim.id, run.claim.run)) is run

    def of(self, task_id: UUID) -> list[StepRun]:
        """The runs of a task: more than one where an older one has not ended yet."""
        return [run for run in self.all() if run.claim.id == task_id]

    def all(self) -> list[StepRun]:
        with self._condition:
            return list(self._runs.values())

    def __len__(self) -> int:
        return len(self._runs)

    def wait_until_empty(self, seconds: float | None) -> bool:
        """Wait so long, or however long it takes (None); return whether no run is left."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._runs and not self._arriving, seconds)
