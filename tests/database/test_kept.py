"""What a task keeps, and what is left to do then: found by those who look, and by a task that goes on from it."""

from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Budget, Identity, InvalidInput, Kept, PartialCompletion, StepFailed
from agent_tasks.authoring.handed import child_outcomes
from agent_tasks.store.queries.children import joined_children
from agent_tasks.transitions.forget import forget
from tests.database import claimed, operations_of, query, submitted
from tests.database.children import done, end, out_of_time, spawn

ANA = Identity(subject="ana", tenant="a")


def keeps(client: AgentTasks, task_id: UUID, value: Any, remaining: Any = None) -> Any:
    taken = claimed(client, task_id)
    operations_of(client, taken).partial(value, remaining)
    return taken


def ended_short(client: AgentTasks, remaining: Any = ("b", "c")) -> UUID:
    taken = keeps(client, submitted(client, budget=Budget(tokens=10)), ["a"], remaining)
    end(client, taken, out_of_time)
    return taken.id


def kept_by(client: AgentTasks, task_id: UUID) -> Kept | None:
    return operations_of(client, claimed(client, task_id)).kept()


def test_an_observer_finds_what_is_left_to_do(client: AgentTasks) -> None:
    task = client.get(ended_short(client))
    assert task.snapshot().remaining == task.stored().remaining == ["b", "c"]
    with pytest.raises(PartialCompletion) as caught:
        task.result(timeout=5)
    assert (caught.value.details["result"], caught.value.details["remaining"]) == (["a"], ["b", "c"])


def test_nothing_is_said_to_be_left_where_the_agent_did_not_say(client: AgentTasks) -> None:
    task = client.get(ended_short(client, None))
    assert task.snapshot().remaining is None
    with pytest.raises(PartialCompletion) as caught:
        task.result(timeout=5)
    assert "remaining" not in caught.value.details


def test_the_latest_partial_counts_even_where_it_names_nothing(client: AgentTasks) -> None:
    taken = keeps(client, submitted(client), ["a"], ["b"])
    operations_of(client, taken).partial(["a", "b"], None)
    assert client.get(taken.id).stored().remaining is None


def test_a_completed_task_has_nothing_left_to_do(client: AgentTasks) -> None:
    taken = keeps(client, submitted(client), ["a"], ["b"])
    end(client, taken, done)
    assert client.get(taken.id).stored().remaining is None
    fork = client.get(taken.id).resume(from_step=0)
    assert kept_by(client, fork.id) == Kept(value=["a"], remaining=None)


def test_a_resumed_task_finds_what_was_kept_and_left_in_each_of_its_tries(client: AgentTasks) -> None:
    again = client.get(ended_short(client)).resume(budget=Budget(tokens=20))
    taken = claimed(client, again.id)
    operations = operations_of(client, taken)
    assert operations.kept() == Kept(value=["a"], remaining=["b", "c"])
    operations.partial(["a", "b"], ["c"])
    assert operations_of(client, taken).kept() == Kept(value=["a"], remaining=["b", "c"])
    end(client, taken, out_of_time)
    third = client.get(again.id).resume(budget=Budget(tokens=30))
    assert kept_by(client, third.id) == Kept(value=["a", "b"], remaining=["c"])


def test_what_was_kept_is_handed_on_by_a_task_that_keeps_nothing_itself(client: AgentTasks) -> None:
    again = client.get(ended_short(client)).resume(budget=Budget(tokens=20))
    end(client, claimed(client, again.id), out_of_time)
    assert client.get(again.id).stored().remaining == ["b", "c"]
    third = client.get(again.id).resume(budget=Budget(tokens=30))
    assert kept_by(client, third.id) == Kept(value=["a"], remaining=["b", "c"])


def test_a_task_that_was_not_resumed_or_from_one_that_kept_nothing_finds_nothing(client: AgentTasks) -> None:
    assert kept_by(client, submitted(client)) is None
    old = submitted(client)
    client.get(old).cancel()
    assert kept_by(client, client.get(old).resume().id) is None


def test_a_parent_finds_what_is_left_of_a_partial_child(client: AgentTasks) -> None:
    root = claimed(client, submitted(client, budget=Budget(tokens=100)))
    first, second = spawn(client, root, 2)
    end(client, keeps(client, first, ["a"], ["b"]), out_of_time)
    end(client, keeps(client, second, ["x"], ["y"]), done)
    with client.database.connection() as connection:
        found = child_outcomes(joined_children(connection, root.id, 1), lambda ids: {})
    assert [outcome.remaining for outcome in found] == [["b"], None]


@pytest.mark.parametrize("nonsense", ["text", 1, {"a": 1}, {1}, b"x"])
def test_what_is_no_list_is_refused_and_nothing_is_kept(client: AgentTasks, nonsense: Any) -> None:
    taken = claimed(client, submitted(client))
    with pytest.raises(InvalidInput, match="remaining"):
        operations_of(client, taken).partial("x", nonsense)
    with pytest.raises(StepFailed, match="remains"):
        operations_of(client, taken).partial("x", [object()])
    assert client.get(taken.id).stored().partial is None


def test_what_is_left_of_a_sensitive_task_is_purged_with_the_rest(client: AgentTasks) -> None:
    task_id = ended_short(client)
    query(client, "ALTER TABLE agent_tasks.tasks DISABLE TRIGGER USER")
    query(client, "UPDATE agent_tasks.tasks SET sensitive = true WHERE id = %s", task_id)
    query(client, "ALTER TABLE agent_tasks.tasks ENABLE TRIGGER USER")
    with client.database.transaction() as connection:
        forget(connection, [task_id])
    assert query(client, "SELECT partial, remaining FROM agent_tasks.tasks WHERE id = %s", task_id) == [
        {"partial": None, "remaining": None}
    ]
