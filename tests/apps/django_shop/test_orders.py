"""The shop's own tests, in Django's test database: no worker runs."""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import SynchronousOnlyOperation
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.test import Client, TransactionTestCase
from orders.models import Event, Order, Task

import agent_tasks
from agent_tasks import IdempotencyConflict, InvalidInput, Settings, TaskNotFound, UnknownAgent
from agent_tasks.contrib.django import models as ours
from agent_tasks.contrib.django import submit, submit_many
from agent_tasks.store.tables import metadata


class Refused(Exception):
    pass


@contextmanager
def rolled_back() -> Generator[None]:
    """A transaction, or a savepoint, that is rolled back."""
    with suppress(Refused), transaction.atomic():
        yield
        raise Refused


def bells(queue: str = "agents") -> int:
    client = agent_tasks.default()
    return sum(client.redis.llen(key) for key in client.redis.keys(f"{queue}*"))


def visible(task_id: UUID) -> bool:
    """Whether another session sees the task."""
    try:
        agent_tasks.get(task_id)
    except TaskNotFound:
        return False
    return True


@pytest.mark.django_db(transaction=True)
def test_a_task_is_there_with_the_order_once_their_transaction_has_committed() -> None:
    agent_tasks.default().redis.flushdb()
    with transaction.atomic():
        order = Order.objects.create(item="tea")
        task = submit("fulfil", {"order": order.pk})
        assert ours.Task.objects.filter(pk=task.id).exists()
        assert not visible(task.id)
        assert bells() == 0
    assert visible(task.id)
    assert bells() == 1
    assert task.snapshot().status == "pending"


@pytest.mark.django_db(transaction=True)
def test_there_is_no_task_after_a_rollback() -> None:
    agent_tasks.default().redis.flushdb()
    with rolled_back():
        task = submit("fulfil", {"order": 1})
    assert not visible(task.id)
    assert bells() == 0


@pytest.mark.django_db(transaction=True)
def test_a_savepoint_that_is_rolled_back_takes_its_task_along_and_no_other() -> None:
    agent_tasks.default().redis.flushdb()
    with transaction.atomic():
        kept = submit("fulfil", {"order": 1})
        with rolled_back():
            lost = submit("fulfil", {"order": 2})
        nested = []
        with transaction.atomic():
            nested += submit_many("fulfil", [{"order": 3}, {"order": 4}])
    assert visible(kept.id)
    assert all(visible(task.id) for task in nested)
    assert not visible(lost.id)
    assert bells() == 3


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_a_task_is_accepted_at_once() -> None:
    agent_tasks.default().redis.flushdb()
    task = submit("fulfil", {"order": 1})
    assert visible(task.id)
    assert bells() == 1
    first = submit("fulfil", {"order": 2}, idempotency_key="once")
    assert submit("fulfil", {"order": 2}, idempotency_key="once").id == first.id
    assert bells() == 2
    with pytest.raises(IdempotencyConflict):
        submit("fulfil", {"order": 3}, idempotency_key="once")


@pytest.mark.django_db(transaction=True)
def test_a_key_in_a_transaction_finds_the_task_of_that_transaction() -> None:
    with transaction.atomic():
        first = submit("fulfil", {"order": 2}, idempotency_key="twice")
        assert submit("fulfil", {"order": 2}, idempotency_key="twice").id == first.id
        transaction.set_rollback(True)
    assert submit("fulfil", {"order": 2}, idempotency_key="twice").id != first.id


@pytest.mark.django_db
def test_a_test_that_is_rolled_back_sees_the_task_and_rings_when_it_says_so(
    django_capture_on_commit_callbacks: Any,
) -> None:
    agent_tasks.default().redis.flushdb()
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        answer = Client().get("/orders/", {"item": "tea"}).json()
    assert len(callbacks) == 1
    assert ours.Task.objects.get(pk=answer["task"]).input == {"order": answer["order"]}
    assert bells() == 1


@pytest.mark.django_db
def test_the_view_says_where_an_order_stands_and_a_unicorn_leaves_nothing() -> None:
    answer = Client().get("/orders/", {"item": "unicorn"})
    assert answer.status_code == 200
    assert not Order.objects.exists()
    assert not ours.Task.objects.filter(pk=answer.json()["task"]).exists()


@pytest.mark.django_db
def test_the_connection_is_djangos_own_again_after_a_submit() -> None:
    submit("fulfil", {"order": 1})
    Event.objects.create(order=Order.objects.create(item="tea"), text="placed")
    assert ours.Task.objects.get(agent="fulfil").input == {"order": 1}
    with connection.cursor() as cursor:
        cursor.execute("SELECT '{}'::jsonb, 1")
        assert cursor.fetchone() == ("{}", 1)


@pytest.mark.django_db
def test_a_broken_transaction_takes_no_task() -> None:
    with transaction.atomic():
        with pytest.raises(Refused), transaction.atomic(savepoint=False):
            raise Refused
        with pytest.raises(transaction.TransactionManagementError):
            submit("fulfil", {"order": 1})


@pytest.mark.django_db
def test_from_an_event_loop_submit_is_refused_as_the_orm_is() -> None:
    async def call() -> None:
        submit("fulfil", {"order": 1})

    with pytest.raises(SynchronousOnlyOperation):
        async_to_sync(call)()


@pytest.mark.parametrize(
    ("using", "why"),
    [("nowhere", "no alias of DATABASES"), ("lite", "is SQLite"), ("away", "another database than that of the tasks")],
)
def test_another_database_is_refused_with_what_to_do(
    using: str, why: str, django_db_setup: None, django_db_blocker: Any
) -> None:
    here = connections["default"].settings_dict
    more = {
        "lite": {**here, "ENGINE": "django.db.backends.sqlite3", "OPTIONS": {}},
        "away": {**here, "NAME": "postgres"},
    }
    connections.databases.update(more)
    try:
        with django_db_blocker.unblock(), pytest.raises(InvalidInput, match=why):
            submit("fulfil", {"order": 1}, using=using)
    finally:
        connections["away"].close()
        for alias in more:
            del connections.databases[alias]


def test_another_alias_of_the_same_database_is_taken(django_db_setup: None, django_db_blocker: Any) -> None:
    here = connections["default"].settings_dict
    connections.databases["again"] = {**here, "HOST": here["HOST"] + "/"}
    try:
        with django_db_blocker.unblock(), transaction.atomic("again"):
            task = submit("fulfil", {"order": 1}, using="again")
            transaction.set_rollback(True, using="again")
        assert not visible(task.id)
    finally:
        connections["again"].close()
        del connections.databases["again"]


@pytest.mark.django_db
def test_an_unknown_agent_and_a_wrong_input_are_named() -> None:
    with pytest.raises(UnknownAgent, match="fulfil"):
        submit("fulfill", {"order": 1})
    with pytest.raises(InvalidInput, match="order"):
        submit("fulfil", {"order": "seven"})


def test_the_settings_are_those_of_the_project(settings: Any) -> None:
    found = Settings.load()
    assert found.database_url.partition("?")[0].endswith(str(connection.settings_dict["NAME"]))
    assert "application_name=shop" in found.database_url
    assert found.lease_seconds == 10
    assert found.agents[1:] == ("orders.agents",)
    settings.AGENT_TASKS = {"redis_url": "redis://elsewhere", "Agents": ["more.agents"], "queue": None}
    assert Settings.load().redis_url == "redis://elsewhere"
    assert Settings.load().agents[1:] == ("more.agents", "orders.agents")
    assert Settings.load().queue == "agents"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"LEASE_SECOND": 3}, "did you mean 'LEASE_SECONDS'"),
        ({"AGENT_TASKS_REDIS": "x"}, "did you mean 'REDIS_URL'"),
        ({"QUEUE": "a", "queue": "b"}, "twice"),
        (["REDIS_URL"], "must be a dict"),
        ({"LEASE_SECONDS": 0}, "AGENT_TASKS_LEASE_SECONDS"),
    ],
)
def test_a_wrong_setting_is_named(settings: Any, given: Any, why: str) -> None:
    settings.AGENT_TASKS = given
    with pytest.raises(InvalidInput, match=why):
        Settings.load()


def test_the_check_says_what_is_wrong(settings: Any) -> None:
    call_command("check")
    settings.AGENT_TASKS = {"AGENTS": "orders.nothing"}
    with pytest.raises(CommandError, match=r"orders\.nothing does not load"):
        call_command("check")
    settings.AGENT_TASKS = {"LEASE": 1}
    with pytest.raises(CommandError, match="LEASE"):
        call_command("check")


@pytest.mark.django_db(transaction=True)
def test_the_command_line_is_ours_with_the_settings_of_the_project(capfd: pytest.CaptureFixture[str]) -> None:
    call_command("agent_tasks", "migrate", "--json")
    assert json.loads(capfd.readouterr().out)["before"]
    task = submit("fulfil", {"order": 1})
    call_command("agent_tasks", "status", str(task.id), "--json")
    assert json.loads(capfd.readouterr().out)["id"] == str(task.id)
    with pytest.raises(CommandError, match="exit code 4"):
        call_command("agent_tasks", "status", str(UUID(int=7)))
    with pytest.raises(CommandError, match="worker, sweeper"):
        call_command("agent_tasks", "dev")


def test_a_command_leaves_the_environment_as_others_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def set_one_meanwhile(*_: Any) -> None:
        seen.append("AGENT_TASKS_AGENTS" in os.environ)
        monkeypatch.setenv("SET_BY_ANOTHER_THREAD", "1")

    monkeypatch.setattr("agent_tasks.contrib.django.management.commands.agent_tasks.main", set_one_meanwhile)
    monkeypatch.delenv("AGENT_TASKS_AGENTS", raising=False)
    call_command("agent_tasks", "doctor")
    assert seen == [True]
    assert "AGENT_TASKS_AGENTS" not in os.environ
    assert os.environ["SET_BY_ANOTHER_THREAD"] == "1"


def test_nothing_is_to_be_migrated_by_django() -> None:
    out = StringIO()
    call_command("makemigrations", "--check", "--dry-run", stdout=out)
    assert "No changes" in out.getvalue()


@pytest.mark.django_db
def test_the_models_are_columns_of_the_tables() -> None:
    for model in (ours.Task, ours.Event, ours.Checkpoint, ours.Call, ours.Signal):
        table = model._meta.db_table.split(".")[1].strip('"')
        known = set(metadata.tables[f"agent_tasks.{table}"].columns.keys())
        assert {field.column for field in model._meta.concrete_fields} <= known
        assert list(model.objects.all()) == []


@pytest.mark.django_db
def test_tables_of_the_shop_are_beside_ours() -> None:
    Task.objects.create(title="sweep the floor")
    submit("fulfil", {"order": 1})
    assert Task.objects.count() == 1
    assert ours.Task.objects.count() == 1


@pytest.mark.django_db
def test_a_model_of_ours_is_not_written() -> None:
    task = ours.Task.objects.get(pk=submit("fulfil", {"order": 1}).id)
    with pytest.raises(TypeError, match="read only"):
        task.save()
    with pytest.raises(TypeError, match="read only"):
        task.delete()


class WithDjangosOwnTests(TransactionTestCase):
    def test_a_task_of_a_test_that_commits_is_there(self) -> None:
        task = submit("fulfil", {"order": 1})
        assert visible(task.id)
