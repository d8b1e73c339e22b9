"""Steps written straight down: lost workers, and tasks that go on."""

from collections.abc import Callable
from typing import Any

from agent_tasks.engine.steps.run import Returned
from tests.database import query, row_of
from tests.database.approving_straight import approve, both
from tests.database.courses import Course, made
from tests.database.driving import result_of


@both
def test_a_worker_lost_after_a_wait_costs_nothing(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    c.parks()
    c.task.signal("approval", 1)
    for _ in range(2):
        run = c.driver.run(c.task_id, c.function)
        assert isinstance(result_of(run), Returned)
        c.driver.crash(run)
    assert c.ends() == 1
    assert made == ["draft", "publish"]


@both
def test_a_task_that_ended_while_parked_waits_again_when_it_is_resumed(
    course: Callable[..., Course], step: Any
) -> None:
    c = course(step)
    c.parks()
    c.task.cancel()
    c.task = c.task.resume()
    c.task_id = c.task.id
    assert c.parks()["waiting_for"]["names"] == ["approval"]
    c.task.signal("approval", 1)
    assert c.ends() == 1
    assert made == ["draft", "publish"]


@both
def test_a_resumed_task_has_the_waits_that_were_over(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    c.task.signal("approval", 1)
    run = c.driver.run(c.task_id, c.function)
    assert isinstance(result_of(run), Returned)
    c.task.cancel()
    c.task = c.task.resume()
    c.task_id = c.task.id
    assert c.ends() == 1
    assert made == ["draft", "publish"]


def test_seconds_are_not_counted_while_a_step_is_parked(course: Callable[..., Course]) -> None:
    c = course(approve)
    c.parks()
    spent = row_of(c.driver.client, c.task_id)["spent_seconds"]
    query(
        c.driver.client,
        'UPDATE agent_tasks.tasks SET waiting_for = waiting_for || \'{"since": "2001-01-01T00:00:00Z"}\', '
        "claimed_at = claimed_at - interval '1 hour' WHERE id = %s",
        c.task_id,
    )
    c.task.signal("approval", 1)
    assert row_of(c.driver.client, c.task_id)["spent_seconds"] == spent
