"""Resumed tasks and forks: which calls they have from the tasks before them, and what they undo."""

from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Budget, InvalidState, Next, PartialCompletion, StepFailed, SyncContext
from agent_tasks.engine.steps.run import Raised
from agent_tasks.transitions.purge import purge
from agent_tasks.transitions.resume import resume
from tests.database import all_of, children, claimed, commit, query, row_of, submitted
from tests.database.children import broken, done, end, run_child, spawn
from tests.database.driving import Driver, result_of, value_of

SHORT = PartialCompletion("short").info.model_dump_json()
NOT_TAKEN_BACK = StepFailed("cannot be taken back").info


class Shop:
    """Takes money, and keeps the keys under which it did."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def pay(self, ctx: SyncContext, what: str) -> str:
        self.keys.append(f"{what} {ctx.idempotency_key}")
        return what


def step_that_pays(shop: Shop, what: str, *, at_most_once: bool = True) -> Any:
    def step(ctx: SyncContext) -> Next:
        ctx.call(shop.pay, ctx, what, at_most_once=at_most_once)
        return Next("echo", value=1)

    return step


def fails(ctx: SyncContext) -> None:
    raise StepFailed("over")


def ran(driver: Driver, task_id: UUID, *steps: Any) -> None:
    """Run these as the next steps of a task, and settle each."""
    for step in steps:
        run = driver.run(task_id, step)
        assert driver.settle(run)["status"] == ("failed" if isinstance(result_of(run), Raised) else "pending")


def undo(client: AgentTasks, task_id: UUID, *, fails: bool = False) -> None:
    end(client, claimed(client, task_id), lambda c, taken: children.undo(c, taken, NOT_TAKEN_BACK if fails else None))


def test_a_call_that_may_be_made_at_most_once_is_not_made_by_a_fork_of_a_resumed_task(driver: Driver) -> None:
    shop, client = Shop(), driver.client
    pays = step_that_pays(shop, "flight")
    ran(driver, first := submitted(client), pays, fails)
    ran(driver, second := client.get(first).resume().id, fails)
    ran(driver, third := client.get(second).resume().id, fails)
    for task_id in (first, second, third):
        ran(driver, client.get(task_id).resume(from_step=0).id, pays, fails)
    assert len(shop.keys) == 1


def test_what_was_undone_is_paid_again_under_another_key_and_what_was_not_is_kept(driver: Driver) -> None:
    shop, client = Shop(), driver.client
    pays, books = step_that_pays(shop, "fee"), step_that_pays(shop, "room")
    ran(driver, task_id := submitted(client), pays)
    books_run = driver.run(task_id, books)
    with client.database.connection() as connection:
        commit(connection, books_run.claim, undoable=True)
    last = step_that_pays(shop, "dinner")

    def pays_and_fails(ctx: SyncContext) -> None:
        last(ctx)
        raise StepFailed("over")

    assert driver.settle(driver.run(task_id, pays_and_fails))["status"] == "pending"
    undo(client, task_id)
    again = client.get(task_id).resume()
    assert row_of(client, again.id)["step_number"] == 1
    ran(driver, again.id, books)
    value_of(driver.run(again.id, last))  # it was never undone
    ran(driver, client.get(task_id).resume(from_step=0).id, pays)
    assert [key.split()[0] for key in shop.keys] == ["fee", "room", "dinner", "room"]
    assert len(set(shop.keys)) == 4


def test_another_call_of_a_fork_goes_out_under_another_key(driver: Driver) -> None:
    shop, client = Shop(), driver.client
    ran(driver, task_id := submitted(client), step_that_pays(shop, "left", at_most_once=False), fails)
    fork = client.get(task_id).resume(from_step=0)
    ran(driver, fork.id, step_that_pays(shop, "right", at_most_once=False))
    assert len({key.split()[1] for key in shop.keys}) == 2
    assert [c["status"] for c in all_of(client, fork.id)["calls"]] == ["completed", "completed"]


def test_a_resumed_task_does_not_charge_again_for_what_is_recorded(driver: Driver) -> None:
    shop, client = Shop(), driver.client

    def charges(ctx: SyncContext) -> None:
        ctx.call(shop.pay, ctx, "model")
        ctx.charge(tokens=70)
        raise StepFailed("over")

    ran(driver, task_id := submitted(client, budget=Budget(tokens=100)), charges)
    again = client.get(task_id).resume()
    ran(driver, again.id, charges)
    assert (row_of(client, task_id)["spent_tokens"], row_of(client, again.id)["spent_tokens"]) == (70, 0)


def test_a_resumed_task_with_more_budget_goes_on_from_the_charge_that_had_used_it_up(driver: Driver) -> None:
    client = driver.client

    def charges(ctx: SyncContext) -> str:
        ctx.charge(tokens=70)
        ctx.charge(tokens=70)
        return "done"

    ran_out = driver.run(submitted(client, budget=Budget(tokens=100)), charges)
    assert driver.settle(ran_out)["status"] == "failed"
    again = client.get(ran_out.claim.id).resume(budget=Budget(tokens=200))
    assert value_of(driver.run(again.id, charges)) == "done"


@pytest.mark.parametrize("ended", ["completed", "partial"])
def test_a_failed_fork_of_a_task_with_a_result_undoes_only_what_it_did_itself(client: AgentTasks, ended: str) -> None:
    task_id = submitted(client)
    with client.database.connection() as connection:
        commit(connection, claimed(client, task_id), undoable=True)
    run_child(client, task_id, done)
    if ended == "partial":
        query(client, "ALTER TABLE agent_tasks.tasks DISABLE TRIGGER USER")
        query(client, "UPDATE agent_tasks.tasks SET status = 'partial', error = %s WHERE id = %s", SHORT, task_id)
        query(client, "ALTER TABLE agent_tasks.tasks ENABLE TRIGGER USER")
    fork = client.get(task_id).resume(from_step=1)
    assert row_of(client, fork.id)["undoable"] == 0
    with client.database.connection() as connection:
        commit(connection, claimed(client, fork.id), undoable=True)
    end(client, claimed(client, fork.id), broken)
    assert row_of(client, fork.id)["undo_step"] == 1
    undo(client, fork.id)
    row = row_of(client, fork.id)
    assert (row["status"], row["error"]["details"]["undone"]) == ("failed", [{"step": "echo", "step_number": 1}])


def not_undone(client: AgentTasks, task_id: UUID) -> UUID:
    with client.database.connection() as connection:
        commit(connection, claimed(client, task_id), undoable=True)
    end(client, claimed(client, task_id), broken)
    undo(client, task_id, fails=True)
    return task_id


def test_a_task_with_steps_that_could_not_be_undone_is_resumed_only_from_a_step_that_is_named(
    client: AgentTasks,
) -> None:
    task = client.get(not_undone(client, submitted(client)))
    with pytest.raises(InvalidState, match=r"echo \(step 0\) could not be undone, .*from_step") as caught:
        task.resume()
    (step,) = caught.value.details["not_undone"]
    assert (step["step"], step["step_number"], step["error"]) == ("echo", 0, "cannot be taken back")
    assert len(query(client, "SELECT FROM agent_tasks.tasks")) == 1
    assert row_of(client, task.resume(from_step=1).id)["step_number"] == 1


def test_a_join_is_resumed_without_a_step_named_only_where_its_children_have_undone_what_they_did(
    client: AgentTasks,
) -> None:
    parent = claimed(client, submitted(client))
    (child,) = spawn(client, parent, 1)
    not_undone(client, child)
    end(client, claimed(client, parent.id), broken)
    task = client.get(parent.id)
    with pytest.raises(InvalidState, match=f"{child} .* could not be undone"):
        task.resume()
    assert len(query(client, "SELECT FROM agent_tasks.tasks")) == 2
    resumed = task.resume(from_step=1)
    assert [
        c["status"] for c in query(client, "SELECT status FROM agent_tasks.tasks WHERE parent_id = %s", resumed.id)
    ] == ["pending"]


def test_a_purge_between_the_lock_of_a_resume_and_its_commit_takes_nothing_that_the_new_task_reads(
    client: AgentTasks,
) -> None:
    parent = claimed(client, submitted(client))
    children = spawn(client, parent, 2)
    run_child(client, children[0], done)
    run_child(client, children[1], broken)
    end(client, claimed(client, parent.id), broken)
    second = client.get(parent.id).resume()
    second.cancel()
    query(client, "ALTER TABLE agent_tasks.tasks DISABLE TRIGGER USER")
    query(client, "UPDATE agent_tasks.tasks SET finished_at = clock_timestamp() - interval '1 hour'")
    query(client, "ALTER TABLE agent_tasks.tasks ENABLE TRIGGER USER")
    with client.database.transaction() as resuming, client.database.connection() as purging:
        resume(resuming, second.id, budget=Budget(), ring_seconds=60)
        purge(purging, limit=10, seconds=1)
    assert {
        row["id"] for row in query(client, "SELECT id FROM agent_tasks.tasks WHERE parent_id = %s", parent.id)
    } == set(children)
