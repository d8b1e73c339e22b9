"""The fixture `agent_tasks`: tasks run in the test's process, on its database, by its clock."""

from datetime import UTC, datetime, timedelta

import pytest

import agent_tasks as package
from agent_tasks import Budget, BudgetExhausted, InvalidInput, UpstreamUnavailable
from agent_tasks.testing import Kit, UnexpectedCall
from tests.testing.agents_tested import complete, double, letter, parent, plain, reminder, send


def test_a_task_runs_with_its_calls_stubbed(agent_tasks: Kit) -> None:
    agent_tasks.calls.stub(complete, returns="a draft", spends=Budget(tokens=120))
    agent_tasks.calls.stub(send, returns=lambda text: f"not sent: {text}")
    task = agent_tasks.submit(letter, {"topic": "tides"})
    agent_tasks.run_until_idle()
    assert task.snapshot().status == "waiting"
    task.signal("approval", {"ok": True})
    agent_tasks.run_until_idle()
    assert task.result() == {"sent": "not sent: a draft"}
    agent_tasks.assert_path(task, "draft", "publish")
    agent_tasks.assert_spent(task, tokens=120, calls=2)
    assert [call.args for call in agent_tasks.calls.made(complete)] == [("Write about tides",)]


def test_a_wait_times_out_when_the_clock_is_advanced(agent_tasks: Kit) -> None:
    agent_tasks.calls.stub(complete, returns="a draft")
    task = agent_tasks.submit(letter, {"topic": "tides"})
    agent_tasks.clock.advance(days=1)
    assert task.snapshot().status == "waiting"
    agent_tasks.clock.advance(days=1)
    assert task.result() == {"sent": None}


def test_a_call_that_is_neither_stubbed_nor_allowed_fails_the_test_and_says_what_to_do(agent_tasks: Kit) -> None:
    agent_tasks.submit(letter, {"topic": "tides"})
    with pytest.raises(UnexpectedCall, match=r"complete.*calls\.stub\(complete, returns=…\).*calls\.allow\(complete\)"):
        agent_tasks.run_until_idle()


def test_calls_that_are_allowed_run_for_real(agent_tasks: Kit) -> None:
    agent_tasks.calls.allow(double)
    task = agent_tasks.submit(plain, {"n": 4})
    agent_tasks.run_until_idle()
    assert task.result()["n"] == 8
    agent_tasks.calls.allow()
    another = agent_tasks.submit(parent, {"n": 3})
    agent_tasks.run_until_idle()
    assert another.result() == [0, 2, 4]


def test_a_stub_raises_and_what_it_spends_is_held_against_the_budget(agent_tasks: Kit) -> None:
    agent_tasks.calls.stub(complete, raises=UpstreamUnavailable("the model is down"))
    task = agent_tasks.submit(letter, {"topic": "tides"})
    agent_tasks.run_until_idle()
    with pytest.raises(UpstreamUnavailable, match="the model is down"):
        task.result()
    agent_tasks.calls.stub(complete, returns="dear", spends={"tokens": 5000})
    dear = agent_tasks.submit(letter, {"topic": "tides"})
    agent_tasks.run_until_idle()
    with pytest.raises(BudgetExhausted):
        dear.result()


def test_thirty_days_with_200_timers_pass_one_timer_after_the_other(agent_tasks: Kit) -> None:
    task = agent_tasks.submit(reminder, {"left": 200})
    agent_tasks.clock.advance(days=30, seconds=-1)
    assert task.snapshot().status == "waiting"
    agent_tasks.clock.advance(seconds=60)
    assert task.result() == "over"
    assert len(agent_tasks.path(task)) == 201


def test_what_the_database_and_the_step_take_for_now_is_the_clock_of_the_test(agent_tasks: Kit) -> None:
    agent_tasks.calls.stub(double, returns=0)
    agent_tasks.clock.advance(days=14)
    ahead = datetime.now(UTC) + timedelta(days=13, hours=23)
    task = agent_tasks.submit(plain, {"n": 1})
    agent_tasks.run_until_idle()
    snapshot = task.snapshot()
    assert snapshot.created_at > ahead
    assert min(event.at for event in task.events()) > ahead
    assert datetime.fromisoformat(task.result()["at"]) > ahead


def test_each_test_begins_with_nothing_and_the_clock_set_right(agent_tasks: Kit) -> None:
    assert agent_tasks.client.living() == []
    assert agent_tasks.calls.made() == []
    assert abs(agent_tasks.clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
    with pytest.raises(InvalidInput, match="not negative"):
        agent_tasks.clock.advance(days=-1)


def test_the_functions_of_the_module_submit_to_the_database_of_the_test(agent_tasks: Kit) -> None:
    agent_tasks.calls.stub(double, returns=7)
    task = package.submit(plain, {"n": 1})
    agent_tasks.run_until_idle()
    assert package.get(task.id).result()["n"] == 7


def test_schedules_fire_on_the_way(agent_tasks: Kit) -> None:
    agent_tasks.calls.stub(double, returns=7)
    agent_tasks.client.schedule(plain, {"n": 1}, cron="0 6 * * *")
    agent_tasks.clock.advance(days=3)
    assert len(agent_tasks.calls.made(double)) == 3


def test_who_waits_for_a_task_has_it_run_and_learns_at_once_that_it_does_not_end_by_itself(agent_tasks: Kit) -> None:
    agent_tasks.calls.stub(double, returns=7)
    assert agent_tasks.submit(plain, {"n": 1}).result()["n"] == 7
    agent_tasks.calls.stub(complete, returns="a draft")
    task = agent_tasks.submit(letter, {"topic": "tides"})
    with pytest.raises(TimeoutError, match="waits for approval"):
        task.wait()
