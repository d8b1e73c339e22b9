"""Signals, timers and their timeouts, through a real worker and a real sweeper."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent_tasks import Identity, InvalidInput, InvalidState, TaskHandle
from tests.conftest import Fleet
from tests.eventually import eventually


def waits(task: TaskHandle, kind: str = "signal") -> None:
    def check() -> bool:
        snapshot = task.stored()
        return snapshot.waiting_for is not None and snapshot.waiting_for.kind == kind

    eventually(check)


def test_a_signal_wakes_the_task_and_the_step_is_told_who_sent_it(fleet: Fleet) -> None:
    task = fleet.client.submit("approval")
    waits(task)
    assert task.snapshot().worker is None
    receipt = task.signal("approval", {"ok": True}, identity=Identity(subject="ana"))
    assert receipt.delivered
    assert task.result(timeout=30) == {"draft": "a draft", "ok": True, "by": "ana"}
    signalled = next(event for event in task.events() if event.type == "signalled")
    assert signalled.data["sender"]["subject"] == "ana"


def test_a_signal_before_its_wait_is_kept_and_consumed_by_it(fleet: Fleet) -> None:
    task = fleet.client.submit("approval", queue="later")
    assert not task.signal("approval", {"ok": False}).delivered
    late = fleet.processes.worker(queue="later", ready=False)
    assert task.result(timeout=30)["ok"] is False
    late.kill()


def test_a_repeated_signal_id_has_no_second_effect(fleet: Fleet) -> None:
    task = fleet.client.submit("several", {"every": True})
    waits(task)
    assert task.signal("first", 1, signal_id="one").kept
    assert not task.signal("first", 2, signal_id="one").kept
    assert not task.signal("second", 2, signal_id="one").kept
    assert task.signal("second", 2, signal_id="two").delivered
    assert task.result(timeout=30) == {"first": 1, "second": 2}
    with fleet.client.database.connection() as connection:
        assert len(connection.execute("SELECT FROM agent_tasks.signals WHERE task_id = %s", [task.id]).fetchall()) == 2


def test_a_signal_for_a_task_that_has_ended_is_refused(fleet: Fleet) -> None:
    task = fleet.client.submit("approval")
    task.cancel()
    with pytest.raises(InvalidState, match="has ended as cancelled"):
        task.signal("approval", {"ok": True})


def test_a_payload_that_the_step_refuses_is_refused_to_the_sender(fleet: Fleet) -> None:
    task = fleet.client.submit("approval")
    waits(task)
    with pytest.raises(InvalidInput, match=r"payload\.ok"):
        task.signal("approval", {"ok": "perhaps"})
    waits(task)
    task.signal("approval", {"ok": True})
    assert task.result(timeout=30)["ok"] is True


def test_a_wait_that_times_out_runs_its_step_without_a_signal(fleet: Fleet) -> None:
    assert fleet.client.submit("approval", {"timeout": 0.3}).result(timeout=30) == "nobody answered"
    assert fleet.client.submit("approval", {"timeout": 0.3, "on_timeout": True}).result(timeout=30) == "gave up"


def test_any_of_several_signals_wakes_and_all_of_them_are_handed_together(fleet: Fleet) -> None:
    task = fleet.client.submit("several", {"every": False})
    waits(task)
    task.signal("second", 2)
    assert task.result(timeout=30) == {"second": 2}
    task = fleet.client.submit("several", {"every": True})
    waits(task)
    assert not task.signal("second", 2).delivered
    assert task.signal("first", 1).delivered
    assert task.result(timeout=30) == {"first": 1, "second": 2}


def test_a_sleeping_task_wakes_when_it_is_due_and_at_once_when_the_time_is_past(fleet: Fleet) -> None:
    task = fleet.client.submit("sleeper", {"seconds": 0.5})
    assert task.result(timeout=30) == "awake"
    doze, awake = (e for e in task.events() if e.type == "claimed")
    assert 0.5 <= (awake.at - doze.at).total_seconds() < 1.5
    assert fleet.client.submit("sleeper", {"seconds": 0}).result(timeout=30) == "awake"


def test_a_waiting_task_holds_nothing(fleet: Fleet) -> None:
    task = fleet.client.submit("sleeper", {"seconds": 3600 * 24 * 60})
    waits(task, "timer")
    snapshot = task.stored()
    assert snapshot.waiting_for is not None
    assert snapshot.waiting_for.until is not None
    assert snapshot.waiting_for.until - datetime.now(UTC) > timedelta(days=59)
    assert snapshot.worker is None
    assert fleet.client.redis.llen("agents\x06\x163") == 0
    assert fleet.client.redis.hlen("unacked") == 0


def test_a_schedule_fires_once_however_many_sweepers_there_are(fleet: Fleet) -> None:
    others = [fleet.processes.sweeper(ready=False), fleet.processes.beat(ready=False)]
    fleet.processes.wait_until_ready(*others)
    schedule = fleet.client.schedule("echo", {"value": 1}, every=1)
    with fleet.client.database.connection() as connection:  # three firings were missed: they collapse into one
        missed = "UPDATE agent_tasks.schedules SET next_at = clock_timestamp() - interval '3.5 seconds'"
        began = connection.execute(missed + " RETURNING clock_timestamp() AS at").fetchall()[0]["at"]

    def fired() -> list[Any]:
        with fleet.client.database.connection() as connection:
            query = "SELECT id, created_at FROM agent_tasks.tasks WHERE agent = 'echo' ORDER BY created_at"
            return connection.execute(query).fetchall()

    eventually(lambda: len(fired()) >= 3)
    assert fleet.client.unschedule(schedule.name)
    found = fired()
    assert fleet.client.get(found[0]["id"]).result(timeout=30) == 1
    assert (found[-1]["created_at"] - began).total_seconds() > len(found) - 2, "each second fires once"
    for process in others:
        process.kill()


@pytest.mark.parametrize(
    "rhythm",
    [
        {"cron": "61 * * * *"},
        {"cron": "* * *"},
        {"every": 0},
        {"every": float("nan")},
        {},
        {"cron": "* * * * *", "every": 5},
    ],
)
def test_a_rhythm_that_cannot_be_is_refused(fleet: Fleet, rhythm: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        fleet.client.schedule("echo", **rhythm)
