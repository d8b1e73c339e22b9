"""Cancel: the whole subtree ends, and nothing else."""

from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, ErrorInfo, ErrorType, InvalidInput, TaskCancelled
from agent_tasks.transitions.cancel import cancel_below
from tests.database import adopt, all_of, claimed, query, row_of, submitted

GONE = ErrorInfo(type=ErrorType.CANCELLED, message="gone")
WAIT = '{"kind": "signal", "name": "approved", "since": "2026-01-01T00:00:00Z"}'


@pytest.fixture
def tree(client: AgentTasks) -> dict[str, UUID]:
    """root → (a → (deep → deepest), b); `done` is below a and has ended; `other` is a tree of its own."""
    ids = {"root": submitted(client), "other": submitted(client)}
    for name, parent in (("a", "root"), ("b", "root"), ("deep", "a"), ("deepest", "deep"), ("done", "a")):
        ids[name] = adopt(client, ids[parent], submitted(client))
    client.get(ids["done"]).cancel()
    claimed(client, ids["deep"])
    query(client, "UPDATE agent_tasks.tasks SET status = 'waiting', waiting_for = %s WHERE id = %s", WAIT, ids["a"])
    return ids


def statuses(client: AgentTasks, ids: dict[str, UUID]) -> dict[str, str]:
    return {name: row_of(client, task_id)["status"] for name, task_id in ids.items()}


def test_the_root_takes_everything_below_with_it(client: AgentTasks, tree: dict[str, UUID]) -> None:
    done = all_of(client, tree["done"])
    snapshot = client.get(tree["root"]).cancel("no longer wanted")
    assert snapshot.status == "cancelled"
    assert snapshot.error is not None
    assert snapshot.error.message == "no longer wanted"
    assert statuses(client, tree) == {**dict.fromkeys(tree, "cancelled"), "other": "pending"}
    assert all_of(client, tree["done"]) == done
    for name in ("a", "deep", "deepest"):
        last = all_of(client, tree[name])["events"][-1]
        assert (last["type"], last["data"]["reason"]) == ("finished", "no longer wanted")


def test_a_branch_leaves_what_is_above_and_beside_it(client: AgentTasks, tree: dict[str, UUID]) -> None:
    client.get(tree["a"]).cancel()
    assert statuses(client, tree) == {
        "root": "pending", "b": "pending", "other": "pending",
        "a": "cancelled", "deep": "cancelled", "deepest": "cancelled", "done": "cancelled",
    }  # fmt: skip


def test_what_is_below_a_task_that_has_ended_ends_too(client: AgentTasks, tree: dict[str, UUID]) -> None:
    query(
        client,
        "UPDATE agent_tasks.tasks "
        "SET status = 'completed', waiting_for = NULL, due_at = NULL, finished_at = now() WHERE id = %s",
        tree["a"],
    )
    client.get(tree["root"]).cancel()
    assert statuses(client, tree)["deepest"] == "cancelled"
    assert statuses(client, tree)["a"] == "completed"


def test_below_means_without_the_task_itself(client: AgentTasks, tree: dict[str, UUID]) -> None:
    with client.database.connection() as connection:
        assert cancel_below(connection, [], GONE) == []
        rows = cancel_below(connection, [tree["a"]], GONE)
        assert {row["id"]: row.get("was") for row in rows} == {tree["deep"]: "running", tree["deepest"]: "pending"}
    assert statuses(client, tree)["a"] == "waiting"


def test_a_second_cancel_changes_nothing(client: AgentTasks, tree: dict[str, UUID]) -> None:
    task = client.get(tree["root"])
    first = task.cancel("first")
    before = all_of(client, task.id)
    assert task.cancel("second").version == first.version
    assert all_of(client, task.id) == before


def test_the_time_of_a_running_step_is_spent_and_that_of_others_is_not(client: AgentTasks) -> None:
    running, waiting = claimed(client).id, claimed(client).id
    for task_id in (running, waiting):
        query(client, "UPDATE agent_tasks.tasks SET claimed_at = claimed_at - interval '5 s' WHERE id = %s", task_id)
    query(client, "UPDATE agent_tasks.tasks SET status = 'waiting', waiting_for = %s WHERE id = %s", WAIT, waiting)
    assert client.get(running).cancel().budget.spent.seconds == pytest.approx(5, abs=0.5)
    assert client.get(waiting).cancel().budget.spent.seconds == 0


def test_a_cancelled_task_raises_its_typed_error(client: AgentTasks) -> None:
    task = client.submit("echo")
    task.cancel("because")
    with pytest.raises(TaskCancelled, match="because") as caught:
        task.result(timeout=5)
    assert caught.value.info == task.snapshot().error


@pytest.mark.parametrize("reason", ["\x00", "\ud800", "é" * 5000, ""])
def test_any_reason_either_cancels_or_is_refused_as_invalid_input(client: AgentTasks, reason: Any) -> None:
    task = client.submit("echo")
    try:
        task.cancel(reason)
    except InvalidInput:
        assert task.stored().status == "pending"
    else:
        assert task.stored().status == "cancelled"
