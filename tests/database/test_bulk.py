"""Bulk operations: what is done to all tasks of a filter, once, in batches, whoever goes on with it."""

from datetime import timedelta
from typing import Any

import pytest

from agent_tasks import AgentTasks, Identity, InvalidInput, TaskFilter, TaskNotFound
from agent_tasks.sweeps import bulks
from tests.database import submitted
from tests.database.bulks import ECHO, counts, many, statuses
from tests.database.children import run_child

ANA = Identity(subject="ana", tenant="acme")
EVE = Identity(subject="eve", tenant="other")


@pytest.mark.usefixtures("small_batches")
def test_all_of_a_filter_are_cancelled_in_batches_and_the_audit_has_one_row(client: AgentTasks) -> None:
    many(client, 7, identity=ANA)
    other = many(client, 2, identity=EVE)
    ended = submitted(client, identity=ANA)
    run_child(client, ended)
    before = max(entry.id for entry in client.audit(limit=1))
    seen: list[int] = []
    bulk = client.bulk("cancel", TaskFilter(tenant="acme"), reason="wrong", progress=lambda b: seen.append(b.matched))
    assert (bulk.status, counts(bulk)) == ("done", (8, 7, 1, 0))
    assert seen == sorted(seen)
    assert len(seen) > 2
    assert statuses(client) == {"cancelled": 7, "completed": 1, "pending": 2}
    assert {client.get(id).snapshot().status for id in other} == {"pending"}
    (entry,) = [entry for entry in client.audit() if entry.id > before]
    assert (entry.operation, entry.target) == ("bulk", "cancel")
    assert entry.data == {
        "id": str(bulk.id), "filter": {"tenant": "acme"}, "status": "done", "matched": 8, "done": 7, "passed_over": 1,
        "failed": 0,
    }  # fmt: skip
    assert client.get_bulk(str(bulk.id)) == client.bulks()[0] == bulk


def test_a_dry_run_counts_and_changes_nothing(client: AgentTasks) -> None:
    many(client, 5)
    run_child(client, submitted(client))
    bulk = client.bulk("cancel", ECHO, dry_run=True)
    assert (bulk.id, bulk.status, counts(bulk)) == (None, "dry_run", (6, 5, 1, 0))
    assert counts(client.bulk("cancel", ECHO, dry_run=True, limit=2))[1] == 2
    assert statuses(client) == {"pending": 5, "completed": 1}
    assert client.bulks() == []
    assert "bulk" not in {entry.operation for entry in client.audit()}


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("limit", [1, 3, 4, 7])
def test_no_more_than_the_limit_are_changed_the_newest_first(client: AgentTasks, limit: int) -> None:
    made = many(client, 7)
    run_child(client, submitted(client))
    bulk = client.bulk("cancel", ECHO, limit=limit)
    assert (bulk.status, bulk.done) == ("done", limit)
    assert {task.id for task in client.search(status="cancelled").tasks} == set(made[-limit:])


def test_a_filter_that_is_true_of_every_task_must_say_so(client: AgentTasks) -> None:
    many(client, 2)
    for nothing in (TaskFilter(), TaskFilter(metadata={})):
        with pytest.raises(InvalidInput, match="all=True"):
            client.bulk("cancel", nothing)
        with pytest.raises(InvalidInput, match="all=True"):
            client.bulk("cancel", nothing, dry_run=True)
    assert statuses(client) == {"pending": 2}
    assert client.bulk("cancel", TaskFilter(), all=True).done == 2


@pytest.mark.parametrize(
    ("operation", "options", "field"),
    [
        ("explode", {}, "operation"), ("cancel", {"to": "q"}, "to"), ("cancel", {"reason": 7}, "reason"),
        ("signal", {}, "name"), ("signal", {"name": "go", "payload": float("nan")}, "payload"),
        ("prioritise", {}, "priority"), ("prioritise", {"priority": 10}, "priority"), ("move", {}, "to"),
        ("move", {"to": ""}, "to"), ("cancel", {"limit": 0}, "limit"), ("cancel", {"dry_run": 1}, "dry_run"),
        ("resume", {"budget": 3}, "budget"), ("acknowledge", {"reason": "x"}, "reason"),
    ],
)  # fmt: skip
def test_what_an_operation_does_not_take_is_refused_by_its_name(
    client: AgentTasks, operation: Any, options: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        client.bulk(operation, ECHO, **options)
    assert caught.value.info.details["field"] == field


def test_an_identity_reaches_what_it_may_see_and_nothing_of_others(client: AgentTasks) -> None:
    many(client, 2, identity=ANA)
    many(client, 3, identity=EVE)
    many(client, 1)
    bulk = client.bulk("cancel", TaskFilter(), all=True, identity=ANA)
    assert (bulk.done, bulk.tenant) == (2, "acme")
    assert client.bulks(identity=ANA) == [bulk]
    assert client.bulks(identity=EVE) == []
    for ask in (client.get_bulk, client.stop_bulk):
        with pytest.raises(TaskNotFound):
            ask(bulk.id or "", identity=EVE)
        with pytest.raises(TaskNotFound):
            ask("7")


def test_how_long_ago_is_settled_when_it_begins(client: AgentTasks) -> None:
    many(client, 2)
    bulk = client.bulk("cancel", TaskFilter(created_after=timedelta(hours=1), metadata=None), wait=False)
    assert str(bulk.filter["created_after"]).startswith("20")
    bulks.run_once(client)
    assert client.get_bulk(bulk.id or "").done == 2
