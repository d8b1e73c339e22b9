"""Bulk operations: what the sweeps go on with, and what stops them."""

from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Bulk, TaskFilter
from agent_tasks.client import bulk_run as driving
from agent_tasks.store.errors import Contention
from agent_tasks.sweeps import bulks
from tests.database import query
from tests.database.bulks import ECHO, counts, many, statuses


@pytest.mark.usefixtures("small_batches")
def test_a_sweep_goes_on_where_a_program_was_killed(client: AgentTasks) -> None:
    many(client, 8)

    def killed(bulk: Bulk) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.bulk("cancel", ECHO, progress=killed)
    (bulk,) = client.bulks()
    assert (bulk.status, bulk.done) == ("running", 3)
    later = many(client, 1)
    assert bulks.run_once(client) == 0, "whoever began it may live"
    query(client, "UPDATE agent_tasks.bulks SET due_at = now()")
    assert bulks.run_once(client) == 1
    bulk = client.get_bulk(bulk.id or "")
    assert (bulk.status, counts(bulk)) == ("done", (8, 8, 0, 0))
    assert client.get(later[0]).snapshot().status == "pending", "it came later"
    finished = query(client, "SELECT task_id FROM agent_tasks.events WHERE type = 'finished'")
    assert len(finished) == len({row["task_id"] for row in finished}) == 8


@pytest.mark.usefixtures("small_batches")
def test_a_batch_that_is_lost_before_its_commit_is_done_again(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(client, 4)
    write, calls = driving.bulk_rows.move, []

    def lost(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return write(*args, **options)

    monkeypatch.setattr(driving.bulk_rows, "move", lost)
    with pytest.raises(KeyboardInterrupt):
        client.bulk("cancel", ECHO)
    assert statuses(client) == {"cancelled": 3, "pending": 1}
    query(client, "UPDATE agent_tasks.bulks SET due_at = now()")
    bulks.run_once(client)
    assert statuses(client) == {"cancelled": 4}
    assert client.bulks()[0].done == 4


@pytest.mark.usefixtures("small_batches")
def test_one_that_is_stopped_changes_nothing_more(client: AgentTasks) -> None:
    many(client, 8)
    bulk = client.bulk("cancel", ECHO, progress=lambda b: client.stop_bulk(b.id or "") and None)
    assert (bulk.status, bulk.done) == ("stopped", 3)
    assert statuses(client) == {"cancelled": 3, "pending": 5}
    assert client.stop_bulk(bulk.id or "") == client.get_bulk(bulk.id or "")
    query(client, "UPDATE agent_tasks.bulks SET due_at = NULL")
    assert bulks.run_once(client) == 0
    told = {entry.operation: entry.data for entry in client.audit() if "bulk" in entry.operation}
    assert (told["bulk"] or {})["status"] == "stopped"
    assert "stop_bulk" in told


def test_one_left_to_the_sweeps_is_done_by_them(client: AgentTasks) -> None:
    many(client, 2)
    bulk = client.bulk("cancel", ECHO, wait=False)
    assert (bulk.status, bulk.done) == ("running", 0)
    assert bulks.run_once(client) == 1
    assert client.get_bulk(bulk.id or "").done == 2


@pytest.mark.usefixtures("small_batches")
def test_a_sweep_does_a_batch_of_each_in_turn_and_one_that_meets_rivals_waits(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(client, 7, queue="long")
    many(client, 1, queue="short")
    long, short, stuck = (client.bulk("cancel", TaskFilter(queue=q), wait=False).id for q in ("long", "short", "none"))
    advance, seen = driving._advance, []

    def noted(deployment: Any, id: UUID) -> Any:
        seen.append(id)
        if id == stuck:
            raise Contention("a rival")
        return advance(deployment, id)

    monkeypatch.setattr(driving, "_advance", noted)
    assert bulks.run_once(client) == 3
    assert seen == [long, short, stuck, long, long]
    assert [client.get_bulk(id or "").status for id in (long, short, stuck)] == ["done", "done", "running"]


def test_one_that_cannot_go_on_has_failed_and_says_why(client: AgentTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    many(client, 2)

    def broken(*args: Any, **options: Any) -> Any:
        raise ValueError("no such thing")

    monkeypatch.setattr(driving.search, "tasks", broken)
    with pytest.raises(ValueError, match="no such thing"):
        client.bulk("cancel", ECHO)
    (bulk,) = client.bulks()
    assert bulk.status == "failed"
    assert "no such thing" in bulk.problems[0].message


def test_rivals_are_given_way_to(client: AgentTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    many(client, 2)
    commit, met = client.commit_for, []

    def met_once(transition: Any) -> Any:
        if not met:
            met.append(1)
            raise Contention("a rival")
        return commit(transition)

    monkeypatch.setattr(client, "commit_for", met_once)
    assert client.bulk("cancel", ECHO).done == 2
