"""Schedules: rows that fire once each time they are due, however many sweepers look."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta

import pytest
from prometheus_client import REGISTRY

from agent_tasks import AgentTasks, Budget
from agent_tasks.sweeps.schedules import run_once
from tests.database import query
from tests.database.scheduling import ANA, overdue, row_named, seconds_ahead, tasks


def test_a_schedule_fires_when_it_is_due_and_not_before(client: AgentTasks) -> None:
    made = client.schedule("echo", {"value": 1}, every=60)
    assert (made.name, made.agent, made.every_seconds, made.last_at) == ("echo", "echo", 60, None)
    assert seconds_ahead(client) == pytest.approx(60, abs=5)
    assert run_once(client) == 0
    overdue(client)
    assert run_once(client) == 1
    assert run_once(client) == 0
    (task,) = tasks(client)
    assert (task["status"], task["agent"], task["input"]) == ("pending", "echo", {"value": 1})
    row = row_named(client)
    assert row["last_task_id"] == task["id"]
    assert row["last_at"] <= task["created_at"]
    assert seconds_ahead(client) == pytest.approx(60, abs=5)


def test_a_firing_is_counted_as_a_submit(client: AgentTasks) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("agent_tasks_submitted_total", {"agent": "echo"}) or 0.0

    client.schedule("echo", {"value": 1}, every=60)
    before = counted()
    overdue(client)
    run_once(client)
    run_once(client)
    assert counted() == before + 1


def test_a_firing_is_a_submit_with_all_its_options(client: AgentTasks) -> None:
    client.schedule(
        "echo", {"value": 1}, every=60, name="nightly", budget=Budget(tokens=5), identity=ANA, session_id="s",
        queue="far", priority=7, ttl=33, metadata={"at": 1}, callback_url="https://a.example",
    )  # fmt: skip
    overdue(client, name="nightly")
    run_once(client)
    (task,) = tasks(client)
    assert (task["queue"], task["priority"], task["ttl_seconds"], task["metadata"]) == ("far", 7, 33, {"at": 1})
    assert (task["session_id"], task["budget_tokens"], task["callback_url"]) == ("s", 5, "https://a.example")
    assert client.get(task["id"], identity=ANA).stored().identity == ANA


def test_a_schedule_of_0_1_0_with_a_callback_url_fires(client: AgentTasks) -> None:
    client.schedule("echo", {"value": 1}, every=60)
    query(client, """UPDATE agent_tasks.schedules SET options = options || '{"callback_url": "https://a.example"}'""")
    overdue(client)
    assert run_once(client) == 1
    assert [(task["status"], task["callback_url"]) for task in tasks(client)] == [("pending", None)]


@pytest.mark.parametrize("sweepers", [2, 6])
def test_of_many_sweepers_at_once_one_fires(client: AgentTasks, sweepers: int) -> None:
    client.schedule("echo", {"value": 1}, every=3600)
    client.schedule("echo", {"value": 2}, cron="0 0 1 1 *", name="other")
    for n in range(1, 11):
        overdue(client)
        overdue(client, name="other")
        barrier = threading.Barrier(sweepers)

        def sweep(_: int, barrier: threading.Barrier = barrier) -> int:
            barrier.wait(10)
            return run_once(client)

        with ThreadPoolExecutor(sweepers) as threads:
            fired = sum(threads.map(sweep, range(sweepers)))
        assert fired + run_once(client) == 2  # what one of them skipped because another had it is for the next tick
        assert len(tasks(client)) == 2 * n


def test_missed_firings_collapse_into_one_and_the_rhythm_stays(client: AgentTasks) -> None:
    client.schedule("echo", every=60)
    overdue(client, seconds=3600 * 24 + 10)
    before = row_named(client)["next_at"]
    assert run_once(client) == 1
    assert run_once(client) == 0
    assert len(tasks(client)) == 1
    following = row_named(client)["next_at"]
    assert (following - before).total_seconds() % 60 == pytest.approx(0, abs=1e-3)
    assert 0 < seconds_ahead(client) <= 60


def test_a_cron_schedule_fires_at_the_wall_clocks_time_in_its_zone(client: AgentTasks) -> None:
    made = client.schedule("echo", cron="30 9 * * *", timezone="Asia/Kolkata")
    assert made.next_at.astimezone(UTC).strftime("%H:%M") == "04:00"
    overdue(client, seconds=86_400 * 3)
    assert run_once(client) == 1
    assert row_named(client)["next_at"].astimezone(UTC).strftime("%H:%M") == "04:00"
    assert 0 < seconds_ahead(client) <= 86_400


def test_scheduling_again_changes_it_and_an_unchanged_rhythm_keeps_its_next_time(client: AgentTasks) -> None:
    first = client.schedule("echo", {"value": 1}, every=60)
    query(client, "UPDATE agent_tasks.schedules SET next_at = next_at - interval '30 s'")
    again = client.schedule("echo", {"value": 2}, every=timedelta(minutes=1))
    assert again.next_at == first.next_at - timedelta(seconds=30)
    changed = client.schedule("echo", {"value": 2}, every=600)
    assert changed.next_at > first.next_at + timedelta(seconds=500)
    by_cron = client.schedule("count", {"to": 1}, cron="* * * * *", name="echo")
    assert (by_cron.agent, by_cron.cron, by_cron.every_seconds) == ("count", "* * * * *", None)
    assert client.schedule("count", {"to": 1}, cron="* * * * *", name="echo", timezone="Asia/Tokyo").timezone != "UTC"
    assert len(client.schedules()) == 1


def test_schedules_are_listed_by_name_and_forgotten_once(client: AgentTasks) -> None:
    for name in ("b", "a"):
        client.schedule("echo", every=60, name=name)
    assert [schedule.name for schedule in client.schedules()] == ["a", "b"]
    assert client.unschedule("a")
    assert not client.unschedule("a")
    overdue(client, name="b")
    run_once(client)
    assert client.unschedule("b")
    assert client.schedules() == []
    assert len(tasks(client)) == 1
    assert run_once(client) == 0
