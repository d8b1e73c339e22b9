"""Steps that are cancelled, run out of time, or spend more than they may."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from agent_tasks import Budget
from tests import rows
from tests.agents import notes
from tests.conftest import Fleet
from tests.eventually import eventually


@pytest.mark.parametrize("agent", ["patient", "attentive"])
def test_a_running_step_hears_of_its_cancellation(fleet: Fleet, tmp_path: Path, agent: str) -> None:
    task = fleet.client.submit(agent, {"folder": str(tmp_path)})
    eventually(lambda: notes(tmp_path))
    assert task.cancel(reason="enough").status == "cancelled"
    eventually(lambda: "cancelled" in notes(tmp_path))
    snapshot = task.stored()
    assert snapshot.error is not None
    assert (snapshot.error.type, snapshot.error.message) == ("cancelled", "enough")
    assert rows.checkpoints(fleet.client, task.id) == []


def test_a_plain_step_that_does_not_look_returns_after_the_cancel_and_cannot_commit(
    fleet: Fleet, tmp_path: Path
) -> None:
    task = fleet.client.submit("inattentive", {"folder": str(tmp_path)})
    eventually(lambda: notes(tmp_path))
    cancelled = task.cancel()
    (tmp_path / "go").touch()
    eventually(lambda: "returns" in notes(tmp_path))
    assert fleet.client.submit("echo", {"value": 1}).result(timeout=30) == 1
    assert task.stored() == cancelled
    assert rows.checkpoints(fleet.client, task.id) == []
    assert rows.events(fleet.client, task.id)[-1]["type"] == "finished"


def test_a_task_cancelled_before_it_began_never_runs(fleet: Fleet, tmp_path: Path) -> None:
    task = fleet.client.submit("patient", {"folder": str(tmp_path)}, queue="nobody-takes-from-here")
    assert task.cancel().status == "cancelled"
    fleet.client.submit("echo", {"value": 1}).result(timeout=30)
    assert notes(tmp_path) == []


def test_the_end_of_its_time_stops_an_async_step(fleet: Fleet, tmp_path: Path) -> None:
    task = fleet.client.submit("patient", {"folder": str(tmp_path)}, budget=Budget(seconds=1))
    snapshot = task.wait(timeout=30)
    assert snapshot.status == "timeout"
    assert snapshot.error is not None
    assert (snapshot.error.type, snapshot.error.details["resource"]) == ("budget_exhausted", "seconds")
    assert snapshot.error.suggested_action == "raise_budget"
    assert notes(tmp_path)[-1] == "cancelled"
    assert snapshot.budget.spent.seconds == pytest.approx(1, abs=0.4)


def test_what_was_kept_makes_a_timeout_partial(fleet: Fleet, tmp_path: Path) -> None:
    task = fleet.client.submit("keeps_partial", {"folder": str(tmp_path)}, budget=Budget(seconds=1))
    snapshot = task.wait(timeout=30)
    assert (snapshot.status, snapshot.result) == ("partial", {"pages": 3})


def test_a_plain_step_sees_that_its_time_is_over(fleet: Fleet, tmp_path: Path) -> None:
    task = fleet.client.submit("attentive", {"folder": str(tmp_path)}, budget=Budget(seconds=1))
    assert task.wait(timeout=30).status == "timeout"
    assert notes(tmp_path)[-1] == "cancelled"


def test_a_plain_step_that_overruns_its_time_cannot_commit(fleet: Fleet, tmp_path: Path) -> None:
    task = fleet.client.submit("inattentive", {"folder": str(tmp_path)}, budget=Budget(seconds=1))
    eventually(lambda: notes(tmp_path))
    eventually(lambda: rows.query(fleet.client, OVER, task.id)[0]["over"])
    (tmp_path / "go").touch()
    assert task.wait(timeout=30).status == "timeout"
    eventually(lambda: "returns" in notes(tmp_path))
    assert rows.checkpoints(fleet.client, task.id) == []


OVER = "SELECT clock_timestamp() - claimed_at > interval '1.1 s' AS over FROM agent_tasks.tasks WHERE id = %s"

SPENDING = [
    ("tokens", {"tokens": 40}, Budget(tokens=100), 2),
    ("usd", {"usd": 0.4}, Budget(usd=1.0), 2),
    ("steps", {}, Budget(steps=3), 3),
    ("calls", {"calls": 2}, Budget(calls=5), 2),
]


@pytest.mark.parametrize(("resource", "arguments", "budget", "steps"), SPENDING)
def test_a_used_up_budget_ends_the_task_and_names_the_resource(
    fleet: Fleet, resource: str, arguments: dict[str, Any], budget: Budget, steps: int
) -> None:
    task = fleet.client.submit("spender", arguments, budget=budget)
    snapshot = task.wait(timeout=30)
    assert snapshot.status == "failed"
    assert snapshot.error is not None
    assert (snapshot.error.type, snapshot.error.details["resource"]) == ("budget_exhausted", resource)
    assert snapshot.error.checkpoint == steps
    assert len(rows.checkpoints(fleet.client, task.id)) == steps


@pytest.mark.parametrize(("resource", "arguments", "budget", "steps"), SPENDING)
def test_a_used_up_budget_leaves_what_was_kept(
    fleet: Fleet, resource: str, arguments: dict[str, Any], budget: Budget, steps: int
) -> None:
    snapshot = fleet.client.submit("spender", {**arguments, "keep": True}, budget=budget).wait(timeout=30)
    assert snapshot.status == "partial"
    assert snapshot.result == f"bought {steps - (resource == 'steps')} times"


@pytest.mark.parametrize(
    ("resource", "arguments", "budget", "spent"),
    [
        ("tokens", {"tokens": 40}, Budget(tokens=100), 80),
        ("usd", {"usd": 0.5}, Budget(usd=1.0), 1.0),
        ("steps", {}, Budget(steps=10), 8),
        ("calls", {"calls": 3}, Budget(calls=10), 8),
    ],
)
def test_a_budget_that_runs_low_is_told_once_before_it_is_used_up(
    fleet: Fleet, resource: str, arguments: dict[str, Any], budget: Budget, spent: float
) -> None:
    task = fleet.client.submit("spender", arguments, budget=budget)
    assert task.wait(timeout=30).status == "failed"
    low = [event["data"] for event in rows.events(fleet.client, task.id, "budget_low")]
    assert low == [{"resource": resource, "spent": spent, "limit": getattr(budget, resource)}]


def test_a_step_that_is_tried_again_does_not_warn_again(fleet: Fleet) -> None:
    task = fleet.client.submit("flaky_hops", {"to": 9}, budget=Budget(steps=10))
    assert task.result(timeout=30) == 9
    assert len(rows.events(fleet.client, task.id, "budget_low")) == 1


def test_time_that_runs_low_is_told_while_the_step_runs(fleet: Fleet, tmp_path: Path) -> None:
    with psycopg.connect(fleet.settings.database_url) as mine:
        task = fleet.client.submit("patient", {"folder": str(tmp_path)}, budget=Budget(seconds=100), connection=mine)
        mine.execute("UPDATE agent_tasks.tasks SET spent_seconds = 79 WHERE id = %s", [task.id])
    (low,) = eventually(lambda: rows.events(fleet.client, task.id, "budget_low"))
    assert (low["data"]["resource"], low["data"]["limit"]) == ("seconds", 100)
    assert 80 <= low["data"]["spent"] < 100
    (tmp_path / "go").touch()
    assert task.wait(timeout=30).status == "completed"


def test_a_budget_used_up_in_a_task_group_is_told_as_such(fleet: Fleet) -> None:
    snapshot = fleet.client.submit("spends_in_a_group", {"tokens": 60}, budget=Budget(tokens=100)).wait(timeout=30)
    assert snapshot.error is not None
    assert (snapshot.error.type, snapshot.error.details["resource"]) == ("budget_exhausted", "tokens")
    assert snapshot.budget.spent.tokens in (120, 180)  # the third may have been stopped before it was charged
