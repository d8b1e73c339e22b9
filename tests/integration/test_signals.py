"""Signals, timers and their timeouts, through a real worker and a real sweeper."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Identity, InvalidInput, InvalidState, TaskHandle
from tests.eventually import eventually
from tests.processes import Processes


def waits(task: TaskHandle, kind: str = "signal") -> None:
    def check() -> bool:
        snapshot = task.stored()
        return snapshot.waiting_for is not None and snapshot.waiting_for.kind == kind

    eventually(check)


def events(task: TaskHandle) -> list[str]:
    return [event.type for event in task.events()]


def test_a_signal_wakes_the_task_and_the_step_is_told_who_sent_it(fleet: Fleet) -> None:
    task = fleet.client.submit("approval")
    waits(task)
    assert task.snapshot().worker is None
    receipt = task.signal("approval", {"ok": True}, identity=Identity(subject="ana"))
    assert receipt.delivered
    assert task.result(timeout=10) == {"draft": "a draft", "ok": True, "by": "ana"}
    signalled = next(event for event in task.events() if event.type == "signalled")
    assert signalled.data["sender"]["subject"] == "ana"


def test_a_signal_before_its_wait_is_kept_and_consumed_by_it(client: AgentTasks, processes: Processes) -> None:
    task = client.submit("approval")
    assert not task.signal("approval", {"ok": False}).delivered
    processes.worker()
    assert task.result(timeout=10)["ok"] is False


def test_a_repeated_signal_id_has_no_second_effect(fleet: Fleet) -> None:
    task = fleet.client.submit("approval")
    waits(task)
    assert task.signal("approval", {"ok": True}, signal_id="one").delivered
    assert (
        not task.signal("approval", {"ok": False}, signal_id="one").kept if task.stored().status == "pending" else True
    )
    assert task.result(timeout=10)["ok"] is True
    with fleet.client.database.connection() as connection:
        assert len(connection.execute("SELECT FROM signals WHERE task_id = %s", [task.id]).fetchall()) == 1


def test_a_signal_for_a_task_that_has_ended_is_refused(client: AgentTasks) -> None:
    task = client.submit("approval")
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
    assert task.result(timeout=10)["ok"] is True


def test_a_wait_that_times_out_runs_its_step_without_a_signal(fleet: Fleet) -> None:
    assert fleet.client.submit("approval", {"timeout": 0.3}).result(timeout=10) == "nobody answered"
    assert fleet.client.submit("approval", {"timeout": 0.3, "on_timeout": True}).result(timeout=10) == "gave up"


def test_any_of_several_signals_wakes_and_all_of_them_are_handed_together(fleet: Fleet) -> None:
    task = fleet.client.submit("several", {"every": False})
    waits(task)
    task.signal("second", 2)
    assert task.result(timeout=10) == {"second": 2}
    task = fleet.client.submit("several", {"every": True})
    waits(task)
    assert not task.signal("second", 2).delivered
    assert task.signal("first", 1).delivered
    assert task.result(timeout=10) == {"first": 1, "second": 2}


def test_a_sleeping_task_wakes_when_it_is_due_and_at_once_when_the_time_is_past(fleet: Fleet) -> None:
    task = fleet.client.submit("sleeper", {"seconds": 0.5})
    assert task.result(timeout=10) == "awake"
    doze, awake = (e for e in task.events() if e.type == "claimed")
    assert 0.5 <= (awake.at - doze.at).total_seconds() < 1.5
    assert fleet.client.submit("sleeper", {"seconds": 0}).result(timeout=10) == "awake"


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


def test_a_schedule_fires_once_however_many_sweepers_there_are(client: AgentTasks, processes: Processes) -> None:
    processes.worker()
    for _ in range(2):
        processes.sweeper()
        processes.beat()
    schedule = client.schedule("echo", {"value": 1}, every=1)
    with client.database.connection() as connection:  # three firings were missed: they collapse into one
        connection.execute("UPDATE schedules SET next_at = clock_timestamp() - interval '3.5 seconds'")

    def fired() -> list[UUID]:
        with client.database.connection() as connection:
            return [row["id"] for row in connection.execute("SELECT id FROM tasks WHERE agent = 'echo'")]

    ids: list[Any] = eventually(lambda: (found := fired()) and len(found) >= 3 and found)
    assert client.get(ids[0]).result(timeout=10) == 1
    assert client.unschedule(schedule.name)
    with client.database.connection() as connection:
        times = [r["created_at"] for r in connection.execute("SELECT created_at FROM tasks ORDER BY id").fetchall()]
    assert all((b - a).total_seconds() > 0.3 for a, b in zip(times[1:], times[2:], strict=False))


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
def test_a_rhythm_that_cannot_be_is_refused(client: AgentTasks, rhythm: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        client.schedule("echo", **rhythm)
