"""Bulk operations: what each does to the tasks that it is for."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, TaskFilter
from tests.database import claimed, commit, park, query, submitted
from tests.database.bulks import ECHO, counts, many, statuses
from tests.database.children import end, run_child, spawn
from tests.database.test_orphans import age, alive, given_up, watched

__all__ = ["watched"]


def test_trees_end_whole_and_their_parents_are_joined(client: AgentTasks) -> None:
    root = claimed(client)
    first, second, third = spawn(client, root, 3)
    query(client, "UPDATE agent_tasks.tasks SET queue = 'slow' WHERE id = ANY (%s)", [first, second])
    bulk = client.bulk("cancel", TaskFilter(queue="slow"))
    assert bulk.done == 2
    run_child(client, third)
    assert client.get(root.id).snapshot().status == "pending", "its children have ended, and it goes on"
    below = claimed(client)
    spawn(client, below, 2)
    client.bulk("cancel", TaskFilter(text=str(below.id)))
    assert {child.snapshot().status for child in client.get(below.id).children()} == {"cancelled"}


def test_a_step_that_runs_is_told_to_stop(client: AgentTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = claimed(client)
    published: list[Any] = []
    publish = client.publisher.publish
    monkeypatch.setattr(client.publisher, "publish", lambda rows: published.extend(rows) or publish(rows))
    client.bulk("cancel", ECHO)
    assert [(row["id"], row["was"]) for row in published] == [(taken.id, "running")]


@pytest.mark.usefixtures("small_batches")
def test_ended_tasks_are_resumed_once_however_often_it_is_run(client: AgentTasks) -> None:
    old = many(client, 5)
    client.bulk("cancel", ECHO)
    run_child(client, submitted(client))
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(client.bulk, "resume", ECHO) for _ in range(2)]
        done = [each.result().done for each in both]
    assert sum(done) == 5
    resumed = query(client, "SELECT resumed_from AS id FROM agent_tasks.tasks WHERE resumed_from IS NOT NULL")
    assert sorted(row["id"] for row in resumed) == sorted(old)
    again = client.bulk("resume", ECHO)
    assert (again.done, again.failed) == (0, 0)


def test_what_cannot_be_resumed_is_named_and_the_others_are(client: AgentTasks) -> None:
    lost, fine = many(client, 2)
    client.bulk("cancel", ECHO)
    query(client, "ALTER TABLE agent_tasks.tasks DISABLE TRIGGER tasks_terminal")
    sql = "UPDATE agent_tasks.tasks SET error = jsonb_set(error, '{details,not_undone}', %s::jsonb) WHERE id = %s"
    query(client, sql, '[{"step": "pay", "step_number": 0}]', lost)
    bulk = client.bulk("resume", ECHO)
    assert counts(bulk) == (2, 1, 0, 1)
    (problem,) = bulk.problems
    assert (problem.task_id, "could not be undone" in problem.message) == (lost, True)
    assert client.search(status="pending").tasks[0].resumed_from == fine


@pytest.mark.usefixtures("small_batches")
def test_children_are_resumed_with_their_parent_and_by_nobody_else(client: AgentTasks) -> None:
    root = claimed(client)
    children = spawn(client, root, 3)
    client.bulk("cancel", TaskFilter(text=str(root.id)))
    lost = TaskFilter(status="cancelled")
    assert counts(client.bulk("resume", lost, dry_run=True)) == (4, 1, 3, 0)
    assert counts(client.bulk("resume", lost)) == (4, 1, 3, 0)
    resumed = query(client, "SELECT resumed_from AS id FROM agent_tasks.tasks WHERE resumed_from IS NOT NULL")
    assert sorted(row["id"] for row in resumed) == sorted([root.id, *children])


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("ended_after", [None, timedelta(days=1)])
def test_those_that_cannot_be_changed_do_not_use_up_the_limit(
    client: AgentTasks, ended_after: timedelta | None
) -> None:
    made = many(client, 8)
    for id in made:
        client.get(id).cancel()
    query(client, "ALTER TABLE agent_tasks.tasks DISABLE TRIGGER tasks_terminal")
    sql = "UPDATE agent_tasks.tasks SET error = jsonb_set(error, '{details,not_undone}', %s::jsonb) WHERE id = ANY (%s)"
    query(client, sql, '[{"step": "pay", "step_number": 0}]', [made[7], made[5], made[4]])
    bulk = client.bulk("resume", TaskFilter(agent="echo", status="cancelled", ended_after=ended_after), limit=4)
    assert (bulk.status, bulk.done, bulk.failed) == ("done", 4, 3)
    resumed = query(client, "SELECT resumed_from AS id FROM agent_tasks.tasks WHERE resumed_from IS NOT NULL")
    assert {row["id"] for row in resumed} == {made[6], made[3], made[2], made[1]}


def wait_for_go(client: AgentTasks, id: UUID) -> None:
    taken = claimed(client, id)
    with client.database.connection() as connection:
        park(connection, taken, "go")


def waiting(client: AgentTasks, count: int) -> list[UUID]:
    made = many(client, count)
    for id in made:
        wait_for_go(client, id)
    return made


@pytest.mark.usefixtures("small_batches")
def test_those_that_wait_for_a_signal_get_it_once(client: AgentTasks) -> None:
    made = waiting(client, 5)
    idle = submitted(client)
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(client.bulk, "signal", ECHO, name="go", payload={"ok": True}) for _ in range(2)]
        assert sum(each.result().done for each in both) == 5
    kept = query(client, "SELECT task_id, payload, consumed_step IS NOT NULL AS was FROM agent_tasks.signals")
    assert {row["task_id"] for row in kept} == set(made)
    assert len(kept) == 5
    assert all(row["was"] for row in kept)
    assert statuses(client) == {"pending": 6}
    assert client.get(idle).snapshot().version == 1
    assert "signal" not in {entry.operation for entry in client.audit()}
    assert "payload" not in query(client, "SELECT options FROM agent_tasks.bulks LIMIT 1")[0]["options"]


def test_ended_tasks_are_acknowledged(client: AgentTasks) -> None:
    ended = submitted(client)
    run_child(client, ended)
    submitted(client)
    assert counts(client.bulk("acknowledge", ECHO)) == (2, 1, 1, 0)
    assert client.get(ended).stored().acknowledged_at is not None
    assert client.bulk("acknowledge", ECHO).done == 0


@pytest.mark.usefixtures("small_batches")
def test_ended_trees_are_purged_and_those_that_live_stay(client: AgentTasks) -> None:
    root = claimed(client)
    first, second = spawn(client, root, 2)
    for child in (first, second):
        run_child(client, child)
    end(client, claimed(client, root.id))
    alive = claimed(client)
    child = spawn(client, alive, 2)[0]
    run_child(client, child)
    key = client.submit("echo", {"value": 1}, idempotency_key="k").id
    run_child(client, key)
    bulk = client.bulk("purge", TaskFilter(status="completed"))
    assert (bulk.done, bulk.failed) == (2, 0)
    left = {row["id"] for row in query(client, "SELECT id FROM agent_tasks.tasks")}
    assert not left & {root.id, first, second, key}
    assert {alive.id, child} <= left
    assert query(client, "SELECT FROM agent_tasks.idempotency_keys") == []
    assert client.submit("echo", {"value": 2}, idempotency_key="k").id != key


def test_tasks_are_moved_and_rung_where_they_now_belong(client: AgentTasks, rung: Callable[[], list[Any]]) -> None:
    pending, waits, runs = submitted(client, queue="stuck"), submitted(client, queue="stuck"), None
    wait_for_go(client, waits)
    runs = claimed(client, submitted(client, queue="stuck"))
    rung()
    bulk = client.bulk("move", TaskFilter(queue="stuck"), to="rescue")
    assert counts(bulk) == (3, 3, 0, 0)
    assert [(row["id"], row["queue"]) for row in rung()] == [(pending, "rescue")]
    assert {client.get(id).stored().queue for id in (pending, waits, runs.id)} == {"rescue"}
    assert [event.data for event in client.get(pending).events() if event.type == "moved"] == [{"queue": "rescue"}]
    client.get(waits).signal("go")
    assert [(row["id"], row["queue"]) for row in rung()] == [(waits, "rescue")]
    assert client.bulk("move", TaskFilter(queue="rescue"), to="rescue").done == 0


def test_one_that_is_moved_has_its_ttl_again_and_a_queue_that_nobody_serves_is_named(watched: AgentTasks) -> None:
    ids = many(watched, 2, queue="slow", ttl=100)
    refused = {"since": "2020-01-01T00:00:00Z", "why": "b: not there.", "times": 1, "signatures": ["a"]}
    query(watched, "UPDATE agent_tasks.tasks SET refused = %s WHERE id = %s", json.dumps(refused), ids[0])
    for id in ids:
        age(watched, id, 3600)
    alive(watched, queue="slow")
    assert watched.bulk("move", TaskFilter(queue="slow"), to="slow", dry_run=True).problems == []
    counted = watched.bulk("move", TaskFilter(queue="slow"), to="fsat", dry_run=True)
    moved = watched.bulk("move", TaskFilter(queue="slow"), to="fsat")
    for bulk in (counted, moved, watched.get_bulk(moved.id or "")):
        assert (bulk.done, bulk.failed) == (2, 0)
        assert "No living worker takes from queue 'fsat'" in bulk.problems[0].message
    assert given_up(watched) == []
    for id in ids:
        age(watched, id, 101)
    assert ids[1] in {row["id"] for row in given_up(watched)}


def test_the_next_step_of_one_that_runs_is_rung_on_its_new_queue(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, queue="stuck"))
    client.bulk("move", TaskFilter(queue="stuck"), to="rescue")
    client.bulk("prioritise", TaskFilter(queue="rescue"), priority=9)
    with client.database.connection() as connection:
        row = commit(connection, taken)
    assert (row["queue"], row["priority"]) == ("rescue", 9)


def test_tasks_get_another_priority_and_are_rung_with_it(client: AgentTasks, rung: Callable[[], list[Any]]) -> None:
    task = submitted(client)
    rung()
    assert client.bulk("prioritise", ECHO, priority=9).done == 1
    assert [(row["id"], row["priority"]) for row in rung()] == [(task, 9)]
    assert client.bulk("prioritise", ECHO, priority=9).done == 0


@pytest.fixture
def rung(client: AgentTasks, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Any]]:
    """The bells that were rung since it was asked last."""
    found: list[Any] = []
    publish = client.publisher.publish

    def note(rows: Any, **options: Any) -> bool:
        found.extend(row for row in rows if row["status"] == "pending")
        return publish(rows, **options)

    monkeypatch.setattr(client.publisher, "publish", note)

    def taken() -> list[Any]:
        rows, found[:] = list(found), []
        return rows

    return taken
