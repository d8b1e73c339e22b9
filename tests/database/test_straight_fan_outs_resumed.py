"""Fan-outs of steps written straight down: tasks that go on."""

from collections.abc import Callable
from typing import Any

import pytest

from agent_tasks import Context, InvalidState
from tests.database.children import run_child
from tests.database.courses import Course
from tests.database.fanning import both, children_of, echoes, end_all, fans, ids_of, may_undo, shown


@both
def test_a_resumed_task_runs_only_those_children_again_that_had_not_completed(
    course: Callable[..., Course], step: Any
) -> None:
    c = course(step)
    c.parks()
    first, _ = ids_of(c)
    run_child(c.driver.client, first)
    c.task.cancel()
    c.task = c.task.resume()
    c.task_id = c.task.id
    row = c.parks()
    (child,) = children_of(c)
    assert (child["child_index"], child["resumed_from"] is not None, row["children_left"]) == (1, True, 1)
    end_all(c)
    assert c.ends() == [[0, "echo", "completed", "done"], [1, "echo", "completed", "done"]]


@both
def test_a_fork_from_a_step_that_spawned_children_spawns_its_own(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    c.parks()
    old = ids_of(c)
    end_all(c)
    c.ends()
    c.task = c.task.resume(from_step=0)
    c.task_id = c.task.id
    c.parks()
    own = children_of(c)
    assert len(own) == 2
    assert not {child["id"] for child in own} & set(old)
    assert {child["resumed_from"] for child in own} == {None}
    end_all(c)
    assert c.ends() == [[0, "echo", "completed", "done"], [1, "echo", "completed", "done"]]


def test_a_resumed_task_has_the_outcomes_that_were_there(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        outcomes = await ctx.fan_out(echoes(1))
        await ctx.wait("go")
        return shown(outcomes)

    c = course(step)
    c.parks()
    end_all(c)
    c.parks()
    for _ in range(2):
        c.task.cancel()
        c.task = c.task.resume()
        c.task_id = c.task.id
        c.parks()
    c.task.signal("go")
    assert c.ends() == [[0, "echo", "completed", "done"]]
    assert not ids_of(c)


def test_a_task_is_not_resumed_before_its_children_have_undone_what_they_did(course: Callable[..., Course]) -> None:
    c = course(fans)
    c.parks()
    first, _ = ids_of(c)
    may_undo(c, first)
    c.task.cancel()
    with pytest.raises(InvalidState, match="has not ended"):
        c.task.resume()
