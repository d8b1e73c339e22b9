"""Where a resumed task goes on: a named step, a wait that was never over, the children that had not completed."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Budget, ErrorInfo, ErrorType, InvalidInput, InvalidState
from agent_tasks.client.handle import TaskHandle
from agent_tasks.errors import BudgetExhausted
from agent_tasks.store.queries.children import joined_children
from agent_tasks.transitions import ledger
from agent_tasks.transitions.checkpoint import Committed
from agent_tasks.transitions.complete import Finish
from agent_tasks.transitions.retry import retry
from agent_tasks.transitions.signal import consumed
from agent_tasks.transitions.wait import sleep
from agent_tasks.transitions.wake import wake
from tests.database import all_of, claimed, commit, fall_due, park, query, row_of, single, submitted, try_claim
from tests.database.children import DIVIDED, NOTHING_RESERVED, broken, reserved_of, run_child, spawn, statuses, types_of
from tests.database.single import complete

PLENTY = Budget(seconds=3600, tokens=10_000, usd=10.0, steps=100, calls=100)
BROKEN = ErrorInfo(type=ErrorType.STEP_FAILED, message="m")


def stepped(client: AgentTasks, steps: int, task_id: UUID | None = None) -> UUID:
    """A task with so many steps committed, each with a call; the state after step n is {"value": n}."""
    task_id = task_id or submitted(client, budget=PLENTY)
    for number in range(steps):
        taken = claimed(client, task_id)
        with client.database.connection() as connection:
            single.begin_call(connection, taken, 0, "pay", key=f"key{number}", at_most_once=False)
            single.end_call(connection, taken, 0, status="completed", outcome=f'"paid {number}"')
            commit(connection, taken, "echo", f'{{"value": {number}}}')
    return task_id


@pytest.fixture
def completed(client: AgentTasks) -> TaskHandle:
    """Three steps, and a fourth that completed it."""
    task_id = stepped(client, 3)
    run_child(client, task_id)
    return client.get(task_id)


@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_a_fork_of_a_completed_task_goes_on_from_the_step_that_is_named(
    client: AgentTasks, completed: TaskHandle, step: int
) -> None:
    before = all_of(client, completed.id)
    fork = completed.resume(from_step=step)
    assert all_of(client, completed.id) == before
    row = row_of(client, fork.id)
    assert (row["status"], row["step_number"], row["resumed_from"], row["lineage_id"]) == (
        "pending", step, completed.id, completed.id,
    )  # fmt: skip
    kept = all_of(client, fork.id)
    assert [c["step_number"] for c in kept["checkpoints"]] == list(range(step))
    assert [c["step_number"] for c in kept["calls"]] == [0, 1, 2]  # a fork of the fork may go back to them
    taken = claimed(client, fork.id)
    assert taken.state == ({"value": 1} if step == 0 else {"value": step - 1})
    with client.database.connection() as connection:
        recorded = ledger.recorded_calls(connection, taken)
    assert [call.outcome for call in recorded.values()] == ([f"paid {step}"] if step < 3 else [])
    assert types_of(client, fork.id) == ["resumed", "dispatched", "claimed"]


@pytest.mark.parametrize("step", [0, 1, 3])
def test_a_fork_is_given_the_arguments_that_were_edited(client: AgentTasks, completed: TaskHandle, step: int) -> None:
    before = all_of(client, completed.id)
    fork = completed.resume(from_step=step, state={"value": "edited"})
    assert all_of(client, completed.id) == before
    assert claimed(client, fork.id).state == {"value": "edited"}
    kept = all_of(client, fork.id)["checkpoints"]
    assert [c["state"]["value"] for c in kept] == [*range(step - 1), "edited"][-step:] if step else kept == []


@pytest.mark.parametrize(
    ("state", "step", "says"),
    [
        ({"value": 1}, None, "name it by from_step"),
        ([1], 1, "arguments of the step"),
        ({"value": b"\xff"}, 1, "stored"),
    ],
)
def test_arguments_that_are_none_make_no_fork(
    client: AgentTasks, completed: TaskHandle, state: Any, step: int | None, says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        completed.resume(from_step=step, state=state)
    assert len(query(client, "SELECT FROM agent_tasks.tasks")) == 1


@pytest.mark.parametrize("step", [4, 5, 2**31 - 1])
def test_a_step_that_does_not_exist_is_refused_and_nothing_is_made(
    client: AgentTasks, completed: TaskHandle, step: int
) -> None:
    with pytest.raises(InvalidState, match="no such checkpoint"):
        completed.resume(from_step=step)
    assert len(query(client, "SELECT FROM agent_tasks.tasks")) == 1


@pytest.mark.parametrize("step", ["1", "echo", 1.0, True, b"1", [1], -1, 2**31, pytest.param(10**5000, id="huge")])
def test_a_step_is_named_by_its_number(client: AgentTasks, completed: TaskHandle, step: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        completed.resume(from_step=step)
    assert caught.value.details["field"] == "from_step"
    assert len(query(client, "SELECT FROM agent_tasks.tasks")) == 1


@pytest.mark.parametrize("state", ["pending", "running", "waiting"])
def test_what_has_not_ended_is_not_forked(client: AgentTasks, state: str) -> None:
    task_id = stepped(client, 1)
    if state != "pending":
        taken = claimed(client, task_id)
        if state == "waiting":
            with client.database.connection() as connection:
                park(connection, taken, "approval")
    with pytest.raises(InvalidState, match=state):
        client.get(task_id).resume(from_step=0)


def test_a_task_that_its_own_step_ended_as_partial_goes_on_with_that_step(client: AgentTasks) -> None:
    task_id = stepped(client, 2)
    taken = claimed(client, task_id)
    short = ErrorInfo(type=ErrorType.PARTIAL_COMPLETION, message="half")
    with client.database.connection() as connection:
        complete(connection, Finish(taken, '"half"', 0, shortfall=short))
    again = client.get(task_id).resume()
    taken = claimed(client, again.id)
    assert (taken.step_number, taken.state) == (2, {"value": 1})


# --- waits --------------------------------------------------------------------------------------------------------


def waiting(client: AgentTasks, *names: str, task_id: UUID | None = None, **options: Any) -> TaskHandle:
    taken = claimed(client, task_id or submitted(client, budget=PLENTY))
    with client.database.connection() as connection:
        park(connection, taken, *names, **options)
    return client.get(taken.id)


def test_a_wait_that_was_never_over_is_waited_for_again_with_its_whole_timeout(client: AgentTasks) -> None:
    task = waiting(client, "a", "b", every=True, timeout=1000, on_timeout="give_up")
    task.signal("b", 1)
    task.signal("other", 2)
    query(client, "UPDATE agent_tasks.tasks SET due_at = due_at - interval '900 s' WHERE id = %s", task.id)
    task.cancel()
    again = task.resume()
    row = row_of(client, again.id)
    assert (row["status"], row["step"], row["waiting_for"]["names"]) == ("waiting", "echo", ["a", "b"])
    sql = "SELECT extract(epoch FROM due_at - clock_timestamp())::float8 AS wait FROM agent_tasks.tasks WHERE id = %s"
    assert query(client, sql, again.id)[0]["wait"] == pytest.approx(1000, abs=5)
    assert types_of(client, again.id) == ["resumed", "waiting"]
    assert again.signal("a", 3).delivered
    taken = claimed(client, again.id)
    with client.database.connection() as connection:
        assert [row["payload"] for row in consumed(connection, again.id, taken.step_number)] == [1, 3]


def test_a_signal_that_had_come_before_the_cancel_is_handed_on_and_not_waited_for_again(client: AgentTasks) -> None:
    task = waiting(client, "approval")
    assert task.signal("approval", 1, signal_id="one").delivered
    task.cancel()
    again = task.resume()
    taken = claimed(client, again.id)
    with client.database.connection() as connection:
        assert [row["payload"] for row in consumed(connection, again.id, taken.step_number)] == [1]
    assert not again.signal("approval", 2, signal_id="one").kept


def test_a_timeout_that_had_passed_before_the_cancel_is_not_waited_for_again(client: AgentTasks) -> None:
    task = waiting(client, "approval", timeout=5, on_timeout="give_up")
    fall_due(client, task.id)
    with client.database.connection() as connection:
        wake(connection, limit=10, ring_seconds=60)
    task.cancel()
    row = row_of(client, task.resume().id)
    assert (row["status"], row["step"]) == ("pending", "give_up")


def test_a_sleep_goes_on_until_the_time_that_it_had(client: AgentTasks) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        sleep(connection, taken, Committed("echo", "{}", 0), seconds=1000, until=None)
    due = row_of(client, taken.id)["due_at"]
    client.get(taken.id).cancel()
    again = client.get(taken.id).resume()
    assert abs(row_of(client, again.id)["due_at"] - due) < timedelta(milliseconds=10)
    fall_due(client, again.id)
    with client.database.connection() as connection:
        assert [row["id"] for row in wake(connection, limit=10, ring_seconds=60)] == [again.id]
    assert claimed(client, again.id).step_number == 1


def test_a_step_that_waited_for_its_next_try_goes_on_at_once(client: AgentTasks) -> None:
    taken = claimed(client, stepped(client, 1))
    with client.database.connection() as connection:
        retry(connection, taken, BROKEN, 3600.0, progress=None)
    client.get(taken.id).cancel()
    taken = claimed(client, client.get(taken.id).resume().id)
    assert (taken.step_number, taken.attempt) == (1, 1)


def test_the_signals_of_the_step_are_handed_to_it_again_and_those_of_earlier_ones_are_not(client: AgentTasks) -> None:
    task = waiting(client, "a")
    task.signal("a", 1)
    waiting(client, "a", task_id=task.id)
    task.signal("a", 2)
    run_child(client, task.id, broken)
    again = task.resume()
    taken = claimed(client, again.id)
    with client.database.connection() as connection:
        assert [row["payload"] for row in consumed(connection, again.id, taken.step_number)] == [2]
        assert consumed(connection, again.id, taken.step_number - 1) == []


# --- children -----------------------------------------------------------------------------------------------------


def test_children_that_had_completed_are_not_run_again_and_the_others_go_on(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=PLENTY))
    ids = spawn(client, taken, 4)
    run_child(client, ids[0])
    run_child(client, ids[1], broken)
    stepped(client, 2, ids[2])
    client.get(taken.id).cancel()
    before = {task_id: all_of(client, task_id) for task_id in [taken.id, *ids]}
    again = client.get(taken.id).resume(budget=Budget(tokens=900))
    assert {task_id: all_of(client, task_id) for task_id in [taken.id, *ids]} == before
    children = query(client, "SELECT * FROM agent_tasks.tasks WHERE parent_id = %s ORDER BY child_index", again.id)
    assert [(c["child_index"], c["resumed_from"], c["step_number"], c["status"]) for c in children] == [
        (1, ids[1], 0, "pending"), (2, ids[2], 2, "pending"), (3, ids[3], 0, "pending"),
    ]  # fmt: skip
    assert {(c["root_id"], c["depth"], c["parent_step"]) for c in children} == {(again.id, 1, 0)}
    reserved = reserved_of(client, again.id)
    assert reserved["children"] == 3
    for name in DIVIDED:
        assert reserved[name] == pytest.approx(sum(float(c[f"budget_{name}"]) for c in children))
    assert reserved["tokens"] <= 900
    for child in children:
        assert row_of(client, again.id)["status"] == "waiting"
        run_child(client, child["id"])
    assert reserved_of(client, again.id) == NOTHING_RESERVED
    last = claimed(client, again.id)
    with client.database.connection() as connection:
        found = joined_children(connection, again.id, last.step_number)
    assert [row["id"] for row in found] == [ids[0], *(child["id"] for child in children)]
    assert {row["status"] for row in found} == {"completed"}


def test_a_parent_whose_children_had_all_completed_goes_on_at_once(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=PLENTY))
    ids = spawn(client, taken, 2)
    for child in ids:
        run_child(client, child)
    run_child(client, taken.id, broken)
    again = client.get(taken.id).resume()
    assert row_of(client, again.id)["status"] == "pending"
    assert reserved_of(client, again.id) == NOTHING_RESERVED
    last = claimed(client, again.id)
    with client.database.connection() as connection:
        assert [row["id"] for row in joined_children(connection, again.id, last.step_number)] == ids


def test_a_tree_is_resumed_all_the_way_down(client: AgentTasks) -> None:
    root = claimed(client, submitted(client, budget=PLENTY))
    (middle,) = spawn(client, root, 1)
    finished, open_ = spawn(client, claimed(client, middle), 2)
    run_child(client, finished)
    client.get(root.id).cancel()
    again = client.get(root.id).resume()
    tree = query(client, "SELECT * FROM agent_tasks.tasks WHERE root_id = %s ORDER BY depth", again.id)
    assert [(row["depth"], row["status"], row["children_left"], row["resumed_from"]) for row in tree] == [
        (0, "waiting", 1, root.id), (1, "waiting", 1, middle), (2, "pending", 0, open_),
    ]  # fmt: skip
    run_child(client, tree[2]["id"])
    run_child(client, tree[1]["id"])
    assert row_of(client, again.id)["status"] == "pending"


def test_a_chain_of_resumes_hands_on_what_completed_in_any_of_them(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=PLENTY))
    ids = spawn(client, taken, 3)
    task, done = client.get(taken.id), []
    for n in range(3):
        row = query(client, "SELECT id FROM agent_tasks.tasks WHERE parent_id = %s AND child_index = %s", task.id, n)[0]
        run_child(client, row["id"])
        done.append(row["id"])
        task.cancel()
        if n < 2:
            task = task.resume()
    final = task.resume()
    with client.database.connection() as connection:
        assert [row["id"] for row in joined_children(connection, final.id, 1)] == done
    assert done[0] == ids[0]
    assert row_of(client, final.id)["status"] == "pending"


@pytest.mark.parametrize("fewer", [0, 2])
def test_a_fork_that_spawns_fewer_children_than_its_forerunner_is_handed_only_its_own(
    client: AgentTasks, fewer: int
) -> None:
    taken = claimed(client, submitted(client, budget=PLENTY))
    for child in spawn(client, taken, 4):
        run_child(client, child)
    run_child(client, taken.id)
    fork = client.get(taken.id).resume(from_step=0)
    again = claimed(client, fork.id)
    if fewer:
        ids = spawn(client, again, fewer)
        for child in ids:
            run_child(client, child)
    else:
        ids = []
        with client.database.connection() as connection:
            commit(connection, again)
    last = claimed(client, fork.id)
    with client.database.connection() as connection:
        assert [row["id"] for row in joined_children(connection, fork.id, last.step_number)] == ids


def test_a_budget_that_is_not_enough_for_the_children_resumes_nothing(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=PLENTY))
    spawn(client, taken, 3)
    client.get(taken.id).cancel()
    with pytest.raises(BudgetExhausted):
        client.get(taken.id).resume(budget=Budget(tokens=2))
    assert len(query(client, "SELECT FROM agent_tasks.tasks")) == 4
    assert set(statuses(client, [taken.id])) == {"cancelled"}
    assert try_claim(client, taken.id) is None


def test_a_resumed_wait_gets_the_signal_that_came_after_the_old_one_ran_out(client: AgentTasks) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        park(connection, taken, "approval", timeout=60.0)
        fall_due(client, taken.id)
        wake(connection, limit=9, ring_seconds=60)
    old = client.get(taken.id)
    old.signal("approval", {"ok": True})
    old.cancel()
    new = old.resume()
    assert new.stored().status == "pending"
    with client.database.connection() as connection:
        assert [found["name"] for found in consumed(connection, new.id, 1)] == ["approval"]
