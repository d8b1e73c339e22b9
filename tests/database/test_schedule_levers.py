"""Schedules: what becomes of missed firings, pauses, and firing at once."""

from datetime import UTC, datetime
from typing import Any

import pytest

from agent_tasks import AgentTasks, Identity, InvalidInput, PermissionDenied, TaskNotFound
from agent_tasks.client import schedule_levers
from agent_tasks.store.queries import read
from agent_tasks.sweeps.schedules import run_once
from tests.database.scheduling import ANA, BOSS, fired, overdue, seconds_ahead, tasks


@pytest.mark.parametrize(("catch_up", "made"), [("one", 1), ("all", 4), ("none", 0)])
@pytest.mark.parametrize("rhythm", [{"every": 3600}, {"cron": "* * * * *"}])
def test_what_becomes_of_missed_firings_is_said_by_catch_up(
    client: AgentTasks, catch_up: Any, made: int, rhythm: dict[str, Any]
) -> None:
    schedule = client.schedule("echo", {"value": 1}, catch_up=catch_up, **rhythm)
    assert schedule.catch_up == catch_up
    step = 3600 if "every" in rhythm else 60
    before = schedule.next_at
    overdue(client, 3.5 * step if "every" in rhythm else seconds_ahead_of_now(before) + 3 * step)
    assert fired(client) == made
    assert 0 < seconds_ahead(client) <= step


def seconds_ahead_of_now(next_at: datetime) -> float:
    """How long ago the minute before this one began."""
    return max(1.0, 60 - (next_at - datetime.now(UTC)).total_seconds())


@pytest.mark.parametrize("catch_up", ["one", "all", "none"])
def test_a_firing_that_is_a_little_late_fires_once(client: AgentTasks, catch_up: Any) -> None:
    client.schedule("echo", {"value": 1}, every=3600, catch_up=catch_up)
    overdue(client, 20)
    assert fired(client) == 1


@pytest.mark.parametrize("rhythm", [{"every": 1}, {"cron": "* * * * *"}])
def test_no_more_than_the_latest_so_many_are_made_up_for(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch, rhythm: dict[str, Any]
) -> None:
    from agent_tasks.client import schedules as kept

    monkeypatch.setattr(kept, "MOST_CAUGHT_UP", 5)
    client.schedule("echo", {"value": 1}, catch_up="all", **rhythm)
    overdue(client, 86_400)
    while seconds_ahead(client) < -0.9 and len(tasks(client)) < 20:
        run_once(client)
    assert 5 <= len(tasks(client)) <= 8


def test_a_paused_schedule_does_not_fire_until_it_is_unpaused(client: AgentTasks) -> None:
    client.schedule("echo", {"value": 1}, every=60)
    paused = client.pause_schedule("echo", reason="the provider is down", identity=None)
    assert (paused.paused_reason, paused.paused_by is not None) == ("the provider is down", True)
    overdue(client, 200)
    with client.database.connection() as connection:
        assert "schedules" not in read.due(connection)
    assert fired(client) == 0
    assert client.pause_schedule("echo", reason="another") == client.schedules()[0], "it stays as it is"
    assert client.schedules()[0].paused_at == paused.paused_at
    again = client.schedule("echo", {"value": 2}, every=60)
    assert again.paused_at == paused.paused_at, "changing it does not set it going"
    assert client.unpause_schedule("echo").paused_at is None
    assert client.unpause_schedule("echo").paused_by is None
    assert fired(client) == 1
    operations = [entry.operation for entry in client.audit() if "pause" in entry.operation]
    assert operations == ["unpause_schedule", "pause_schedule"]


def test_a_schedule_is_fired_now_and_its_rhythm_stays(client: AgentTasks) -> None:
    made = client.schedule("echo", {"value": 1}, name="n", every=60, identity=ANA, session_id="s", priority=7)
    client.pause_schedule("n")
    task = client.trigger_schedule("n")
    (row,) = tasks(client)
    assert (row["id"], row["tenant"], row["session_id"], row["priority"]) == (task.id, "acme", "s", 7)
    (kept,) = client.schedules()
    assert (kept.next_at, kept.last_task_id, kept.paused_at is None) == (made.next_at, task.id, False)
    (entry,) = client.audit(operation="trigger_schedule")
    assert (entry.target, entry.task_id) == ("n", task.id)


@pytest.mark.parametrize(("catch_up", "made"), [("none", 0), ("one", 1), ("all", 1)])
def test_what_fell_into_a_pause_is_left_out_where_nothing_is_caught_up(
    client: AgentTasks, catch_up: Any, made: int
) -> None:
    client.schedule("echo", {"value": 1}, every=3600, catch_up=catch_up)
    client.pause_schedule("echo")
    overdue(client, 20)
    client.unpause_schedule("echo")
    assert fired(client) == made
    assert 0 < seconds_ahead(client) <= 3600


def test_what_the_operators_have_paused_goes_on_by_them_alone(client: AgentTasks) -> None:
    client.schedule("echo", {"value": 1}, every=60, identity=ANA)
    by = client.pause_schedule("echo").paused_by
    for seen in (client.schedules(identity=ANA)[0], client.pause_schedule("echo", identity=ANA)):
        assert (seen.paused_at is None, seen.paused_by) == (False, "the operators")
    assert client.schedules()[0].paused_by == by != "the operators"
    with pytest.raises(PermissionDenied, match="by the operators"):
        client.unpause_schedule("echo", identity=BOSS)
    with pytest.raises(PermissionDenied, match="by the operators"):
        client.unschedule("echo", identity=ANA)
    assert client.schedules()[0].paused_at is not None
    assert client.unpause_schedule("echo").paused_at is None
    assert client.pause_schedule("echo", identity=ANA).paused_by == "ana"
    assert client.unpause_schedule("echo", identity=BOSS).paused_at is None


def test_one_that_is_changed_while_it_is_triggered_submits_what_it_is_now(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.schedule("echo", {"value": "old"}, every=60)
    options_of = schedule_levers.options_of

    def changed_meanwhile(row: Any) -> dict[str, Any]:
        monkeypatch.undo()
        client.schedule("echo", {"value": "new"}, every=60)
        return options_of(row)

    monkeypatch.setattr(schedule_levers, "options_of", changed_meanwhile)
    task = client.trigger_schedule("echo")
    assert [(row["id"], row["input"]) for row in tasks(client)] == [(task.id, {"value": "new"})]


@pytest.mark.parametrize("lever", ["pause_schedule", "unpause_schedule", "trigger_schedule"])
def test_levers_are_for_who_may_see_the_schedule(client: AgentTasks, lever: str) -> None:
    client.schedule("echo", {"value": 1}, name="n", every=60, identity=ANA)
    pull = getattr(client, lever)
    for who in (Identity(subject="bob", tenant="acme"), Identity(subject="ana", tenant="other")):
        with pytest.raises(TaskNotFound):
            pull("n", identity=who)
    with pytest.raises(TaskNotFound):
        pull("nothing")
    assert pull("n", identity=ANA) is not None
    client.schedule("echo", {"value": 1}, name="n", every=60, identity=Identity(subject="ana", tenant="other"))
    with pytest.raises(InvalidInput, match="Several tenants"):
        pull("n")
    assert pull("n", tenant="other") is not None


def test_what_becomes_of_missed_firings_is_one_of_three(client: AgentTasks) -> None:
    with pytest.raises(InvalidInput, match="catch_up must be one, all or none"):
        client.schedule("echo", {"value": 1}, every=60, catch_up="some")  # type: ignore[arg-type]
    assert client.schedules() == []
