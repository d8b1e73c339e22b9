"""Schedules: those that cannot be, or cannot fire any more."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent_tasks import AgentTasks, Identity, InvalidInput, UnknownAgent
from agent_tasks.client.schedules import Schedule
from agent_tasks.sweeps import schedules
from agent_tasks.sweeps.schedules import run_once
from agent_tasks.transitions.submit import NewTask
from tests.database import Row, query
from tests.database.scheduling import ANA, overdue, row_named, seconds_ahead, tasks


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
