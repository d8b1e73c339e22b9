"""What the admin shows of tasks, and what it leaves alone."""

from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agent_tasks import Identity
from agent_tasks.contrib.django import models as ours
from agent_tasks.contrib.django import submit

pytestmark = pytest.mark.django_db
TASKS = "/admin/agent_tasks/task/"
SIGNAL = (
    "UPDATE agent_tasks.tasks SET status = 'waiting', due_at = NULL, waiting_for = "
    """'{"kind": "signal", "name": "packed", "names": ["packed"], "since": "2026-11-01T00:00:00Z"}' WHERE id = %s"""
)
CHILD = (
    "UPDATE agent_tasks.tasks SET parent_id = %s, root_id = %s, depth = 1, parent_step = 0, child_index = 0 "
    "WHERE id = %s"
)


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ana"))
    return client


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.headers
    return answer.content.decode()


def run(sql: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def test_the_list_shows_tasks_and_what_they_wait_for(admin: Client) -> None:
    waiting, pending = submit("fulfil", {"order": 1}), submit("count", {"item": "tea"})
    run(SIGNAL, waiting.id)
    shown = page(admin, TASKS)
    assert str(waiting.id) in shown
    assert "signal packed, since 2026-11-01" in shown
    filtered = page(admin, f"{TASKS}?waiting=signal")
    assert str(waiting.id) in filtered
    assert str(pending.id) not in filtered
    assert str(waiting.id) not in page(admin, f"{TASKS}?status__exact=pending")
    assert str(pending.id) not in page(admin, f"{TASKS}?ended=yes")


def test_what_is_paused_is_shown_with_its_tasks_and_listed(admin: Client) -> None:
    task, other = submit("fulfil", {"order": 1}), submit("count", {"item": "tea"})
    run(
        "INSERT INTO agent_tasks.pauses (kind, name, target, by, by_operators, reason) "
        "VALUES ('agent', 'fulfil', 'agent:fulfil', 'olga', true, 'no <paper>')"
    )
    assert "The agent fulfil is paused since" in page(admin, f"{TASKS}{task.id}/change/")
    assert "is paused since" not in page(admin, f"{TASKS}{other.id}/change/")
    holding = page(admin, "/admin/agent_tasks/pause/?over=no&kind=agent")
    assert "olga" in holding
    assert "no &lt;paper&gt;" in holding
    assert "olga" not in page(admin, "/admin/agent_tasks/pause/?over=yes")


@pytest.mark.parametrize("part", ["whole", "beginning", "without dashes", "agent", "session"])
def test_a_task_is_found_by_its_id_its_agent_or_its_session(admin: Client, part: str) -> None:
    task, other = submit("fulfil", {"order": 1}, session_id="desk 7"), submit("count", {"item": "tea"})
    terms = {
        "whole": str(task.id),
        "beginning": str(task.id)[:35],
        "without dashes": task.id.hex,
        "agent": "fulfil",
        "session": "desk 7",
    }
    shown = page(admin, f"{TASKS}?q={terms[part]}")
    assert f"{TASKS}{task.id}/" in shown
    assert f"{TASKS}{other.id}/" not in shown


def test_a_page_leads_to_the_tree_and_to_the_history(admin: Client) -> None:
    parent, child = submit("stock", {"items": ["tea"]}), submit("count", {"item": "tea"})
    run(CHILD, parent.id, parent.id, child.id)
    shown = page(admin, f"{TASKS}{parent.id}/change/")
    assert f'href="{TASKS}{child.id}/change/"' in shown
    assert f'href="{TASKS}{parent.id}/change/"' in page(admin, f"{TASKS}{child.id}/change/")
    tree = page(admin, f"{TASKS}?root__id__exact={parent.id}")
    assert str(child.id) in tree
    assert str(parent.id) in tree
    for part in ("event", "checkpoint", "call", "signal"):
        address = f"/admin/agent_tasks/{part}/?task__id__exact={parent.id}"
        assert address in shown
        page(admin, address)
    events = page(admin, f"/admin/agent_tasks/event/?task__id__exact={parent.id}")
    assert "submitted" in events
    assert str(child.id) not in events


def test_rows_of_a_task_are_shown_for_that_task_alone(admin: Client) -> None:
    submit("fulfil", {"order": 1})
    assert "submitted" not in page(admin, "/admin/agent_tasks/event/")
    assert "/admin/agent_tasks/event/" not in page(admin, "/admin/")


def test_payloads_of_a_sensitive_task_are_hidden(admin: Client) -> None:
    task = submit("secret", {"diagnosis": "scarlet fever"}, metadata={"ward": "north"})
    open_one = submit("fulfil", {"order": 123454321}, identity=Identity(subject="ben"))
    shown = page(admin, f"{TASKS}{task.id}/change/")
    assert "scarlet fever" not in shown
    assert "north" not in shown
    assert "hidden: the task is sensitive" in shown
    shown = page(admin, f"{TASKS}{open_one.id}/change/")
    assert "123454321" in shown
    assert "ben" in shown


def test_nothing_is_written(admin: Client) -> None:
    task = submit("fulfil", {"order": 1})
    assert "Add" not in page(admin, TASKS).partition('id="content"')[2]
    shown = page(admin, f"{TASKS}{task.id}/change/")
    assert "Save" not in shown
    assert "Delete" not in shown
    for address in (f"{TASKS}add/", f"{TASKS}{task.id}/delete/"):
        assert admin.get(address).status_code == 403
    assert admin.post(f"{TASKS}{task.id}/change/", {"agent": "other"}).status_code == 403
    assert ours.Task.objects.get(pk=task.id).agent == "fulfil"


def test_who_may_view_tasks_sees_them_and_who_may_not_does_not(client: Client) -> None:
    user = User.objects.create_user("ben", is_staff=True)
    client.force_login(user)
    assert client.get(TASKS).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_task", content_type__app_label="agent_tasks"))
    client.force_login(User.objects.get(pk=user.pk))
    assert client.get(TASKS).status_code == 200
    assert not Permission.objects.filter(codename="change_task", content_type__app_label="agent_tasks").exists()


def test_a_page_of_an_unknown_task_is_not_there(admin: Client) -> None:
    assert admin.get(f"{TASKS}{UUID(int=7)}/change/").status_code == 302  # as of any model: to the index, with a word


def test_the_list_counts_no_more_than_it_shows(admin: Client) -> None:
    submit("fulfil", {"order": 1})
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page(admin, TASKS)
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"].upper() and "tasks" in query["sql"]]
    assert counts
    assert all("LIMIT 10000" in sql for sql in counts)
