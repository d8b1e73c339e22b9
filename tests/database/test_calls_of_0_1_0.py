"""Records of 0.1.0 know a call by its ordinal and its name alone; a repeat of a step that it began goes by them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, ContextLost, SyncContext
from tests.database import claimed, lapse, query, single, submitted
from tests.database.driving import Driver, value_of


def recorded_by_0_1_0(client: AgentTasks, *calls: tuple[str, str, str]) -> UUID:
    """A task whose worker of 0.1.0 was lost after these calls: name, status, outcome as JSON."""
    taken = claimed(client, submitted(client))
    with client.database.connection() as connection:
        for ordinal, (name, status, outcome) in enumerate(calls):
            single.begin_call(connection, taken, ordinal, name, key=f"key {ordinal} of 0.1.0", at_most_once=False)
            if status != "started":
                single.end_call(connection, taken, ordinal, status=status, outcome=outcome)
    query(client, "UPDATE agent_tasks.calls SET ended = NULL WHERE task_id = %s", taken.id)
    lapse(client, taken.id)
    return taken.id


def rows_of(client: AgentTasks, task_id: UUID) -> list[dict[str, Any]]:
    return query(client, "SELECT * FROM agent_tasks.calls WHERE task_id = %s ORDER BY ordinal", task_id)


class World:
    def __init__(self) -> None:
        self.made: list[tuple[str, str]] = []

    def does(self, name: str, ctx: SyncContext) -> Callable[..., str]:
        def function(*args: Any) -> str:
            self.made.append((name, ctx.idempotency_key))
            return f"{name} is made now"

        function.__qualname__ = name
        return function


def test_its_records_are_replayed_in_order_whatever_the_arguments_and_new_calls_follow(driver: Driver) -> None:
    world = World()

    def step(ctx: SyncContext) -> list[str]:
        return [ctx.call(world.does(name, ctx), n) for n, name in enumerate(["fetch", "fetch", "rank", "fetch"])]

    recorded = [("fetch", "completed", '"first"'), ("fetch", "completed", '"second"'), ("rank", "completed", '"third"')]
    task_id = recorded_by_0_1_0(driver.client, *recorded)
    first = driver.run(task_id, step)
    assert value_of(first) == ["first", "second", "third", "fetch is made now"]
    driver.crash(first)
    assert value_of(driver.run(task_id, step)) == value_of(first)
    assert [name for name, _ in world.made] == ["fetch"]
    assert [row["branch"] is None for row in rows_of(driver.client, task_id)] == [True, True, True, False]


@pytest.mark.parametrize("left", ["started", "failed"])
def test_a_call_that_it_began_or_saw_fail_is_made_again_under_the_key_it_had(driver: Driver, left: str) -> None:
    world = World()

    def step(ctx: SyncContext) -> list[str]:
        return [ctx.call(world.does("look", ctx)), ctx.call(world.does("pay", ctx))]

    error = '{"type": "OSError", "message": "away"}'
    task_id = recorded_by_0_1_0(driver.client, ("look", "completed", '"seen"'), ("pay", left, error))
    first = driver.run(task_id, step)
    assert value_of(first) == ["seen", "pay is made now"]
    assert world.made == [("pay", "key 1 of 0.1.0")]
    driver.crash(first)
    assert value_of(driver.run(task_id, step)) == value_of(first)
    assert len(world.made) == 1
    kept = [(row["idempotency_key"], row["attempts"]) for row in rows_of(driver.client, task_id)]
    assert kept == [("key 0 of 0.1.0", 1), ("key 1 of 0.1.0", 2)]


def test_another_call_in_the_place_of_one_of_its_records_is_refused_before_it_is_made(driver: Driver) -> None:
    world = World()

    def step(ctx: SyncContext) -> str:
        return ctx.call(world.does("pay", ctx))

    task_id = recorded_by_0_1_0(driver.client, ("look", "completed", '"seen"'))
    with pytest.raises(ContextLost, match=r"its call 0 was look, now it is pay"):
        value_of(driver.run(task_id, step))
    assert world.made == []
