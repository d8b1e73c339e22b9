"""Functions as the steps of tasks, run by run, and what they make on the way."""

from collections.abc import Callable
from typing import Any

from agent_tasks.engine.steps.decision import decide, decide_failure
from agent_tasks.engine.steps.run import Parked, Raised, StepRun
from agent_tasks.transitions.wake import wake
from tests.database import Row, fall_due, query, row_of, submitted
from tests.database.driving import Driver, result_of, value_of

made: list[str] = []
"""What the functions of this test have made."""


def make(what: str) -> str:
    made.append(what)
    return what


class Course:
    """The course of one function as a task's step, run by run."""

    def __init__(self, driver: Driver, function: Callable[..., Any], **options: Any) -> None:
        self.driver = driver
        self.function = function
        self.task_id = submitted(driver.client, **options)
        self.task = driver.client.get(self.task_id)

    def run(self) -> StepRun:
        """One run, up to what came of it, which is committed."""
        run = self.driver.run(self.task_id, self.function)
        decision = decide(run, result_of(run), limit=1_000_000, draining=False)
        settled = self.driver.commits.commit(run.claim, decision, lambda refused: decide_failure(run, refused))
        self.driver.client.publish(settled.changed)
        return run

    def parks(self) -> Row:
        """Run it until it waits; returns the row."""
        outcome = result_of(self.run())
        assert isinstance(outcome, Parked), outcome
        return row_of(self.driver.client, self.task_id)

    def ends(self) -> Any:
        """Run it to its end; returns the result."""
        return value_of(self.run())

    def fails(self) -> BaseException:
        outcome = result_of(self.run())
        assert isinstance(outcome, Raised), outcome
        return outcome.error

    def time_passes(self) -> None:
        """The clock comes to where the task's wait is over."""
        client = self.driver.client
        query(client, "UPDATE agent_tasks.calls SET wait = wait || '{\"until\": \"2001-01-01T00:00:00Z\"}' "
              "WHERE task_id = %s AND status = 'started' AND wait ->> 'until' IS NOT NULL", self.task_id)  # fmt: skip
        fall_due(client, self.task_id)
        with client.database.transaction() as connection:
            wake(connection, limit=10, ring_seconds=60)
