"""Fan-out and join, budgets down the tree, undo and resume, through real workers and sweepers."""

from pathlib import Path
from typing import Any

import pytest

from agent_tasks import Budget, BudgetExhausted, Identity
from tests import rows
from tests.agents import notes
from tests.conftest import Fleet
from tests.eventually import eventually


def echo(value: Any, **more: Any) -> dict[str, Any]:
    return {"agent": "echo", "input": {"value": value}, **more}


def recorder(seconds: float) -> dict[str, Any]:
    return {"agent": "recorder", "input": {"seconds": seconds}}


def test_children_are_joined_in_order_with_the_identity_extended(fleet: Fleet) -> None:
    task = fleet.client.submit(
        "foreman", {"family": [echo(n) for n in range(20)]}, identity=Identity(subject="ana", tenant="acme")
    )
    assert [child["result"] for child in task.result(timeout=30)] == list(range(20))
    child = task.children()[0].stored()
    assert child.root_id == task.id
    assert child.identity == Identity(subject="ana", tenant="acme", actors=("foreman",))
    types = [event.type for event in task.events()]
    assert types.count("spawned") == types.count("joined") == 1
    assert types[-1] == "finished"


def test_children_of_children_are_in_the_trace_of_the_root(fleet: Fleet) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    task = fleet.client.submit("traced", {"depth": 2}, traceparent=traceparent)
    found = task.result(timeout=30)
    assert {each.split("-")[1] for each in found} == {traceparent.split("-")[1]}
    assert len({each.split("-")[2] for each in found}) == len(found) == 7  # each task has a span of its own
    other = fleet.client.submit("traced", {"depth": 1})
    assert other.result(timeout=30)[0] == other.stored().traceparent
    assert traceparent.split("-")[1] not in str(other.stored().traceparent)


def test_children_of_children_are_for_whom_the_root_is_and_have_no_more_time_than_their_parents(fleet: Fleet) -> None:
    ana = Identity(subject="ana", tenant="acme", scopes=("write",))
    task = fleet.client.submit("traced", {"depth": 2}, identity=ana, session_id="s", budget=Budget(seconds=60))
    task.result(timeout=30)
    tree = task.tree()
    (child, _), (grandchild, _) = tree.children, tree.children[0].children
    for node, actors in ((tree, ()), (child, ("traced",)), (grandchild, ("traced", "traced"))):
        assert node.snapshot.identity == ana.model_copy(update={"actors": actors})
        assert (node.snapshot.session_id, node.snapshot.root_id) == ("s", task.id)
    limits = [node.snapshot.budget.limit.seconds or 0 for node in (tree, child, grandchild)]
    assert 60 == limits[0] > limits[1] > limits[2] > 50


def test_no_children_is_no_wait(fleet: Fleet) -> None:
    assert fleet.client.submit("foreman", {"family": []}).result(timeout=30) == []


def test_the_planner_aggregates_four_results_and_one_partial_within_its_deadline(fleet: Fleet) -> None:
    """A foreman with 10 minutes, five specialists, of which one would take 8: here a minute is half a second."""
    children = [recorder(0.2), recorder(0.1), recorder(60), recorder(0.3), recorder(0.2)]
    task = fleet.client.submit("foreman", {"family": children, "reserve": 2.0}, budget=Budget(seconds=5.0))
    snapshot = task.wait(timeout=30)
    assert snapshot.status == "partial", snapshot.error
    assert [child["status"] for child in snapshot.result] == ["completed"] * 2 + ["partial"] + ["completed"] * 2
    assert snapshot.result[2]["result"] == "what there is"
    assert snapshot.budget.spent.seconds <= 5.0
    assert snapshot.finished_at is not None
    assert (snapshot.finished_at - snapshot.created_at).total_seconds() < 6.0


def test_a_failed_child_ends_the_parent_that_asked_for_it_and_its_siblings(fleet: Fleet) -> None:
    children = [{"agent": "fails"}, recorder(60)]
    task = fleet.client.submit("foreman", {"family": children, "on_child_failure": "fail"})
    snapshot = task.wait(timeout=30)
    assert snapshot.status == "failed"
    assert snapshot.error is not None
    assert snapshot.error.type == "partial_completion"
    assert sorted(child.stored().status for child in task.children()) == ["cancelled", "failed"]


def test_what_children_leave_unspent_returns_and_what_they_spend_is_the_parents(fleet: Fleet) -> None:
    spend = [{"agent": "buyer", "input": {"tokens": 10, "usd": 0.25}}, {"agent": "buyer", "input": {"tokens": 30}}]
    task = fleet.client.submit("foreman", {"family": spend}, budget=Budget(tokens=100, usd=1.0, steps=20))
    assert len(task.result(timeout=30)) == 2
    snapshot = task.stored()
    assert snapshot.budget.spent.tokens == 40
    assert snapshot.budget.spent.usd == 0.25
    assert snapshot.budget.spent.steps == 4
    assert snapshot.budget.reserved.tokens == 0
    assert [child.stored().budget.limit.tokens for child in task.children()] == [50, 50]


def test_a_child_that_asks_for_more_than_there_is_is_clamped_and_the_history_says_so(fleet: Fleet) -> None:
    task = fleet.client.submit(
        "foreman", {"family": [echo(1, budget={"tokens": 1000}), echo(2)]}, budget=Budget(tokens=100)
    )
    task.result(timeout=30)
    spawned = next(event for event in task.events() if event.type == "spawned")
    assert spawned.data["clamped"] == {"0": ["tokens"]}


def test_more_children_than_the_limit_are_refused(fleet: Fleet) -> None:
    fleet.processes.worker(max_children=5, queue="few", ready=False)
    task = fleet.client.submit("foreman", {"family": [echo(n) for n in range(6)]}, queue="few")
    with pytest.raises(BudgetExhausted) as refused:
        task.result(timeout=30)
    assert refused.value.details["resource"] == "children"


def test_agents_that_spawn_each_other_without_end_reach_the_depth_limit(fleet: Fleet) -> None:
    fleet.processes.worker(max_depth=3, queue="shallow", ready=False)
    task = fleet.client.submit("nested", {"depth": 10}, queue="shallow")
    snapshot = task.wait(timeout=30)
    assert snapshot.status == "partial"
    with fleet.client.database.connection() as connection:
        query = "SELECT depth, status, error FROM agent_tasks.tasks WHERE root_id = %s ORDER BY depth"
        rows = connection.execute(query, [task.id]).fetchall()
    assert [row["depth"] for row in rows] == [0, 1, 2, 3]
    assert rows[-1]["error"]["details"]["resource"] == "children"


def test_cancelling_the_root_ends_the_whole_tree(fleet: Fleet) -> None:
    nested = {"agent": "foreman", "input": {"family": [recorder(60), recorder(60)]}}
    task = fleet.client.submit("foreman", {"family": [nested, recorder(60)]})

    def all_run() -> bool:
        with fleet.client.database.connection() as connection:
            running = "SELECT count(*) AS n FROM agent_tasks.tasks WHERE root_id = %s AND status = 'running'"
            row = connection.execute(running, [task.id]).fetchone()
        return row is not None and row["n"] == 3

    eventually(all_run)
    task.cancel("enough")
    with fleet.client.database.connection() as connection:
        rows = connection.execute("SELECT status FROM agent_tasks.tasks WHERE root_id = %s", [task.id]).fetchall()
    assert [row["status"] for row in rows] == ["cancelled"] * 5


def test_undo_runs_in_reverse_order_when_a_later_step_fails(fleet: Fleet, tmp_path: Path) -> None:
    task = fleet.client.submit("booking", {"folder": str(tmp_path)})
    snapshot = task.wait(timeout=30)
    assert snapshot.status == "failed"
    assert notes(tmp_path) == ["hotel", "flight", "settle", "cancel flight", "cancel hotel 7"]
    assert snapshot.error is not None
    assert snapshot.error.type == "step_failed"
    assert [undone["step"] for undone in snapshot.error.details["undone"]] == ["flight", "hotel"]
    assert [e.type for e in task.events()].count("undone") == 2


def test_an_undo_that_fails_for_good_is_reported_and_the_rest_is_undone(fleet: Fleet, tmp_path: Path) -> None:
    task = fleet.client.submit("booking", {"folder": str(tmp_path), "failing_undo": True})
    snapshot = task.wait(timeout=40)
    assert snapshot.status == "failed"
    assert snapshot.error is not None
    assert [undone["step"] for undone in snapshot.error.details["undone"]] == ["hotel"]
    assert snapshot.error.details["not_undone"][0]["step"] == "flight"
    assert "airline" in snapshot.error.details["not_undone"][0]["error"]
    assert notes(tmp_path).count("cancel flight") == 5


def test_a_cancelled_task_is_undone_before_it_ends(fleet: Fleet, tmp_path: Path) -> None:
    task = fleet.client.submit("booking", {"folder": str(tmp_path), "fail": False})
    eventually(lambda: "settle" in notes(tmp_path))
    task.cancel("changed my mind")
    snapshot = task.wait(timeout=30)
    assert snapshot.status == "cancelled"
    assert notes(tmp_path)[-2:] == ["cancel flight", "cancel hotel 7"]


def test_a_resumed_parent_runs_only_the_children_that_had_not_completed(fleet: Fleet, tmp_path: Path) -> None:
    counted = {"agent": "counted", "input": {"folder": str(tmp_path), "name": "a"}}
    held = {"agent": "relay", "input": {"folder": str(tmp_path)}}
    task = fleet.client.submit("foreman", {"family": [counted, held]})
    eventually(lambda: rows.is_paid(fleet.client))
    eventually(lambda: task.children()[0].stored().status == "completed")
    task.cancel()
    (tmp_path / "go").touch()
    again = task.resume()
    assert [child["result"] for child in again.result(timeout=30)] == ["a", "done"]
    assert notes(tmp_path).count("counted a") == 1
    assert notes(tmp_path).count("paid") == 1


def test_a_fork_replays_from_an_earlier_step_of_a_completed_task(fleet: Fleet) -> None:
    task = fleet.client.submit("count", {"to": 5})
    assert task.result(timeout=30) == 5
    fork = task.resume(from_step=2)
    assert fork.stored().resumed_from == task.id
    assert fork.result(timeout=30) == 5
    first = next(event for event in fork.events() if event.type == "claimed")
    assert first.data["step_number"] == 2


def test_a_resumed_wait_waits_again(fleet: Fleet) -> None:
    task = fleet.client.submit("approval")
    eventually(lambda: task.stored().status == "waiting")
    task.cancel()
    again = task.resume()
    assert again.stored().status == "waiting"
    again.signal("approval", {"ok": True})
    assert again.result(timeout=30)["ok"] is True


def test_a_fan_out_whose_inputs_are_above_their_bound_together_ends_its_task_at_once(fleet: Fleet) -> None:
    fleet.processes.worker(fan_out_limit=10_000, queue="narrow", ready=False)
    task = fleet.client.submit("bulky", {"parts": 20, "size": 900}, queue="narrow")
    snapshot = task.wait(timeout=30)
    assert (snapshot.status, snapshot.attempt) == ("failed", 1)
    assert snapshot.error is not None
    assert (snapshot.error.type, snapshot.error.retryable) == ("payload_too_large", False)
    assert (snapshot.error.details["size"], snapshot.error.details["limit"]) == (20 * 913, 10_000)
    assert task.children() == []


def test_an_async_step_reads_the_results_of_its_children_one_after_the_other(fleet: Fleet) -> None:
    assert fleet.client.submit("bulky", {"parts": 3, "size": 900}).result(timeout=30) == [900] * 3
