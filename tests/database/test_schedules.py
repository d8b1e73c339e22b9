"""Schedules: rows that fire once each time they are due, however many sweepers look."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from agent_tasks import AgentTasks, Budget, Identity, InvalidInput, PermissionDenied, TaskNotFound, UnknownAgent
from agent_tasks.client import schedule_levers
from agent_tasks.client.schedules import Schedule
from agent_tasks.store.queries import read
from agent_tasks.sweeps import schedules
from agent_tasks.sweeps.schedules import run_once
from agent_tasks.transitions.submit import NewTask
from tests.database import Row, query

ANA = Identity(subject="ana", tenant="acme", scopes=("write",))


def overdue(client: AgentTasks, seconds: float = 0.001, name: str = "echo") -> None:
    """It should have fired so long ago."""
    sql = "UPDATE agent_tasks.schedules SET next_at = clock_timestamp() - make_interval(secs => %s) WHERE name = %s"
    query(client, sql, seconds, name)


def row_named(client: AgentTasks, name: str = "echo") -> Row:
    return query(client, "SELECT * FROM agent_tasks.schedules WHERE name = %s", name)[0]


def tasks(client: AgentTasks) -> list[Row]:
    return query(client, "SELECT * FROM agent_tasks.tasks ORDER BY id")


def seconds_ahead(client: AgentTasks, name: str = "echo") -> float:
    sql = (
        "SELECT extract(epoch FROM next_at - clock_timestamp())::float8 AS s FROM agent_tasks.schedules WHERE name = %s"
    )
    return query(client, sql, name)[0]["s"]


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


BOB, EVE = Identity(subject="bob", tenant="acme"), Identity(subject="ana", tenant="evil", scopes=("tasks:all",))
BOSS = Identity(subject="boss", tenant="acme", scopes=("tasks:all",))


def test_only_who_may_see_a_schedules_tasks_sees_it(client: AgentTasks) -> None:
    client.schedule("echo", every=60, name="hers", identity=ANA)
    client.schedule("echo", every=60, name="his", identity=BOB)
    client.schedule("echo", every=60, name="nobodys")
    seen = {
        identity.subject if identity else None: [schedule.name for schedule in client.schedules(identity=identity)]
        for identity in (ANA, BOB, BOSS, None)
    }
    assert seen == {"ana": ["hers"], "bob": ["his"], "boss": ["hers", "his"], None: ["hers", "his", "nobodys"]}
    assert client.schedules(identity=EVE) == []


@pytest.mark.parametrize("other", [BOB, EVE])
@pytest.mark.parametrize("owner", [ANA, None])
def test_a_schedule_of_somebody_else_is_neither_changed_nor_removed_and_does_not_exist_for_others(
    client: AgentTasks, owner: Identity | None, other: Identity
) -> None:
    client.schedule("echo", {"value": 1}, every=60, identity=owner)
    before = row_named(client)
    assert client.unschedule("echo", identity=other) is client.unschedule("nothing", identity=other) is False
    assert client.schedules(identity=other) == []
    assert row_named(client) == before


def test_of_one_tenant_a_name_is_one_persons(client: AgentTasks) -> None:
    client.schedule("echo", {"value": 1}, every=60, identity=ANA)
    before = row_named(client)
    with pytest.raises(PermissionDenied, match="somebody else of the tenant") as caught:
        client.schedule("echo", {"value": 2}, every=60, identity=BOB)
    assert caught.value.details == {"schedule": "echo"}
    assert "ana" not in caught.value.message
    assert row_named(client) == before


def test_names_are_told_apart_by_tenant_and_each_fires_for_its_own(client: AgentTasks) -> None:
    owners = (None, ANA, EVE)
    for number, owner in enumerate(owners):
        made = client.schedule("echo", {"value": number}, every=60, name="payroll", identity=owner)
        assert (made.name, made.tenant) == ("payroll", owner.tenant if owner else "")
    query(
        client, "UPDATE agent_tasks.schedules SET next_at = clock_timestamp() - interval '1 s' WHERE tenant <> 'acme'"
    )
    assert run_once(client) == 2
    assert [(task["input"], task["tenant"]) for task in tasks(client)] == [({"value": 0}, ""), ({"value": 2}, "evil")]
    fired = query(client, "SELECT tenant FROM agent_tasks.schedules WHERE last_task_id IS NOT NULL ORDER BY 1")
    assert [row["tenant"] for row in fired] == ["", "evil"]
    assert client.unschedule("payroll", identity=ANA)
    assert client.unschedule("payroll")  # that of no tenant
    assert client.unschedule("payroll")  # the only one left
    assert client.schedules() == []


def test_a_trusted_program_says_which_tenants_schedule_it_means_where_there_are_several(client: AgentTasks) -> None:
    for owner in (ANA, EVE):
        client.schedule("echo", every=60, name="payroll", identity=owner)
    with pytest.raises(InvalidInput, match="acme, evil"):
        client.unschedule("payroll")
    assert len(client.schedules()) == 2
    assert not client.unschedule("payroll", tenant="other")
    assert not client.unschedule("payroll", tenant="evil", identity=ANA)
    assert client.unschedule("payroll", tenant="evil")
    assert [each.tenant for each in client.schedules()] == ["acme"]


@pytest.mark.parametrize("who", [ANA, BOSS])
def test_its_owner_and_who_may_see_all_change_and_remove_a_schedule(client: AgentTasks, who: Identity) -> None:
    client.schedule("echo", {"value": 1}, every=60, identity=ANA)
    client.schedule("echo", {"value": 2}, every=60, identity=who)
    assert row_named(client)["input"] == {"value": 2}
    assert client.unschedule("echo", identity=who)


def test_of_two_who_take_a_name_at_once_one_has_it(client: AgentTasks) -> None:
    for _ in range(5):
        barrier = threading.Barrier(2)

        def take(who: Identity, barrier: threading.Barrier = barrier) -> str | None:
            barrier.wait(10)
            try:
                client.schedule("echo", every=60, identity=who)
            except PermissionDenied:
                return None
            return who.subject

        with ThreadPoolExecutor(2) as threads:
            winners = [winner for winner in threads.map(take, (ANA, BOB)) if winner]
        assert winners == [row_named(client)["options"]["identity"]["subject"]]
        client.unschedule("echo")


def test_one_that_cannot_fire_any_more_does_not_stop_the_others(client: AgentTasks) -> None:
    for name in ("a", "b", "c"):
        client.schedule("echo", {"value": name}, every=60, name=name)
        overdue(client, name=name)
    query(client, "UPDATE agent_tasks.schedules SET agent = 'gone' WHERE name = 'a'")
    query(client, "UPDATE agent_tasks.schedules SET input = '{\"other\": 1}' WHERE name = 'b'")
    assert run_once(client) == 3
    assert [task["input"] for task in tasks(client)] == [{"value": "c"}]
    assert {row["last_task_id"] is None for row in (row_named(client, "a"), row_named(client, "b"))} == {True}
    assert all(seconds_ahead(client, name) > 50 for name in ("a", "b", "c"))
    assert run_once(client) == 0


@pytest.mark.parametrize("kept", ["{}", '{"identity": null}', '{"budget": {"minutes": 1}}', '{"nonsense": 1}'])
def test_options_that_another_release_wrote_do_not_stop_the_others(client: AgentTasks, kept: str) -> None:
    for name in ("a", "b"):
        client.schedule("echo", {"value": name}, every=60, name=name)
        overdue(client, name=name)
    query(client, "UPDATE agent_tasks.schedules SET options = %s WHERE name = 'a'", kept)
    assert run_once(client) == 2
    assert {"value": "b"} in [task["input"] for task in tasks(client)]
    assert run_once(client) == 0


def test_a_firing_and_its_note_are_one_commit(client: AgentTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    client.schedule("echo", every=60)
    overdue(client)

    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agent_tasks.transitions.schedule.fired", dies)
    with pytest.raises(KeyboardInterrupt):
        run_once(client)
    assert tasks(client) == []
    monkeypatch.undo()
    assert run_once(client) == 1
    assert len(tasks(client)) == 1


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "cron"),
        ({"cron": "* * * * *", "every": 5}, "cron"),
        ({"every": 0}, "every"),
        ({"every": "60"}, "every"),
        ({"every": timedelta.max}, "every"),
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"every": 60, "timezone": "Mars/Olympus"}, "timezone"),
        ({"every": 60, "priority": 10}, "priority"),
        ({"every": 60, "nonsense": 1}, "nonsense"),
        ({"every": 60, "identity": "ana"}, "identity"),
        ({"every": 60, "budget": {"tokens": 1}}, "budget"),
        ({"every": 60, "name": "x" * 201}, "name"),
        ({"every": 60, "name": ""}, "name"),
        ({"every": 60, "name": 7}, "name"),
        ({"every": 60, "name": "a\x00"}, "name"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_with_the_field_named_and_nothing_is_kept(
    client: AgentTasks, options: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        client.schedule("echo", {"value": 1}, **options)
    assert caught.value.details["field"] == field
    assert client.schedules() == []


def test_a_schedule_of_nobody_or_of_bad_input_is_refused_when_it_is_made(client: AgentTasks) -> None:
    with pytest.raises(UnknownAgent):
        client.schedule("nobody", every=60)
    with pytest.raises(InvalidInput):
        client.schedule("count", {"to": "many"}, every=60)
    assert client.schedules() == []


def test_a_schedule_says_what_it_is(client: AgentTasks) -> None:
    made = client.schedule("echo", every=60)
    assert client.schedules() == [made]
    assert Schedule.model_validate(json.loads(made.model_dump_json())) == made
    assert made.next_at > datetime.now(UTC)


def test_a_schedule_that_is_changed_while_it_fires_submits_what_it_is_now(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.schedule("echo", {"value": "old"}, name="s", every=60, identity=ANA)
    overdue(client, name="s")
    request = schedules._request

    def changed_meanwhile(c: AgentTasks, row: Row) -> NewTask | None:
        task = request(c, row)
        monkeypatch.undo()
        client.unschedule("s")
        client.schedule("echo", {"value": "new"}, name="s", every=60, identity=Identity(subject="bob"))
        overdue(client, name="s")
        return task

    monkeypatch.setattr(schedules, "_request", changed_meanwhile)
    run_once(client)
    run_once(client)
    assert [(task["input"]["value"], task["identity"]["subject"]) for task in tasks(client)] == [("new", "bob")]
    assert row_named(client, "s")["last_task_id"] == tasks(client)[0]["id"]


def fired(client: AgentTasks) -> int:
    """Sweep until nothing is due; how many tasks there are."""
    while run_once(client):
        pass
    return len(tasks(client))


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
