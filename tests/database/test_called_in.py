"""Called in: when only the parent's reserve is left, its children end with what they have, and it goes on."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Budget, BudgetExhausted, Child, FanOut
from agent_tasks.errors import LeaseLost
from agent_tasks.store.queries.children import joined_children
from agent_tasks.transitions import spend
from agent_tasks.transitions.call_in import call_in
from agent_tasks.transitions.undo import Undoing, undone
from agent_tasks.transitions.wake import wake
from tests.database import Row, claimed, commit, fall_due, park, query, row_of, submitted
from tests.database.children import (
    NOTHING_RESERVED,
    broken,
    done,
    end,
    reserved_of,
    run_child,
    spawn,
    spawned_of,
    statuses,
    types_of,
)

HOUR = Budget(seconds=3600, tokens=1000, usd=1.0, steps=100, calls=100)


def called(client: AgentTasks) -> list[Row]:
    with client.database.transaction() as connection:
        return call_in(connection, limit=100, ring_seconds=60)


def parent_of(client: AgentTasks, count: int = 2, **options: Any) -> tuple[UUID, list[UUID]]:
    taken = claimed(client, submitted(client, budget=HOUR))
    return taken.id, spawn(client, taken, count, **options)


def test_children_are_called_in_when_the_reserve_is_reached_and_not_before(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=HOUR))
    spawn(client, taken, 1, reserve=600)
    sql = "SELECT extract(epoch FROM due_at - clock_timestamp())::float8 AS wait FROM agent_tasks.tasks WHERE id = %s"
    assert query(client, sql, taken.id)[0]["wait"] == pytest.approx(3000, abs=5)
    assert called(client) == []


def test_no_parent_without_a_limit_of_time_ever_calls_its_children_in(client: AgentTasks) -> None:
    taken = claimed(client)
    spawn(client, taken, 1)
    row = row_of(client, taken.id)
    assert (row["due_at"], row["waiting_for"]["until"]) == (None, None)


@pytest.mark.parametrize("seconds", [1e9, 1e12, 1e300])
def test_a_limit_of_time_beyond_all_calendars_can_still_be_waited_within(client: AgentTasks, seconds: float) -> None:
    taken = claimed(client, submitted(client, budget=Budget(seconds=seconds)))
    (child,) = spawn(client, taken, 1)
    assert client.get(taken.id).stored().status == "waiting"
    assert called(client) == []
    run_child(client, child)
    assert row_of(client, taken.id)["status"] == "pending"


def test_each_child_ends_with_what_it_has_and_the_parent_goes_on(client: AgentTasks) -> None:
    parent, (finished, running, kept, pending, parked) = parent_of(client, 5)
    run_child(client, finished)
    taken = claimed(client, running), claimed(client, kept)
    with client.database.connection() as connection:
        spend.keep_partial(connection, taken[1], '"half"')
        park(connection, claimed(client, parked), "approval")
    (below,) = spawn(client, taken[0], 1)
    deepest = claimed(client, below)
    fall_due(client, parent)
    with client.database.connection() as connection:
        assert wake(connection, limit=10, ring_seconds=60) == []  # it is not for the timers
    rows = called(client)
    assert statuses(client, [finished, running, kept, pending, parked, below]) == [
        "completed", "timeout", "partial", "timeout", "timeout", "timeout",
    ]  # fmt: skip
    assert {row["id"] for row in rows if row.get("was") == "running"} == {kept, below}
    assert {row["id"] for row in rows} == {parent, running, kept, pending, parked, below}
    row = row_of(client, parent)
    assert (row["status"], row["waiting_for"]) == ("pending", None)
    assert reserved_of(client, parent) == NOTHING_RESERVED
    assert row_of(client, kept)["result"] == "half"
    assert row_of(client, kept)["error"]["details"] == {"resource": "seconds"}
    assert types_of(client, parent)[-2:] == ["joined", "dispatched"]
    for claim in (taken[1], deepest):
        with pytest.raises(LeaseLost):
            end(client, claim)
    assert called(client) == []


def test_the_time_in_which_children_are_awaited_is_the_parents(client: AgentTasks) -> None:
    parent, _ = parent_of(client, 1)
    sql = """
        UPDATE agent_tasks.tasks SET due_at = clock_timestamp(), waiting_for = jsonb_set(waiting_for, '{since}',
            to_jsonb(clock_timestamp() - interval '100 s')) WHERE id = %s
    """
    query(client, sql, parent)
    called(client)
    assert row_of(client, parent)["spent_seconds"] == pytest.approx(100, abs=1)


def test_a_sweep_and_the_last_child_at_once_wake_the_parent_once(client: AgentTasks) -> None:
    for _ in range(8):
        parent, ids = parent_of(client, 3)
        claims = [claimed(client, child) for child in ids]
        fall_due(client, parent)
        barrier = threading.Barrier(4)

        def finish(claim: Any, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(10)
            try:
                end(client, claim)
            except LeaseLost:
                return  # it was called in first

        def sweep(barrier: threading.Barrier = barrier) -> None:
            barrier.wait(10)
            client.database.run(lambda c: call_in(c, limit=10, ring_seconds=60))

        with ThreadPoolExecutor(4) as threads:
            racing = [threads.submit(finish, claim) for claim in claims] + [threads.submit(sweep)]
            for one in racing:
                one.result()
        called(client)
        assert row_of(client, parent)["status"] == "pending"
        assert set(statuses(client, ids)) <= {"completed", "timeout"}
        assert types_of(client, parent).count("dispatched") == 2
        assert reserved_of(client, parent) == NOTHING_RESERVED


@pytest.fixture
def undoing(client: AgentTasks) -> tuple[UUID, UUID]:
    """A parent that was called in, and its only child, which is still undoing what it did."""
    parent, (child,) = parent_of(client, 1)
    taken = claimed(client, child)
    with client.database.connection() as connection:
        spend.charge(connection, taken, tokens=30, usd=0.0)
        commit(connection, taken, undoable=True)
    fall_due(client, parent)
    called(client)
    return parent, child


def undo(client: AgentTasks, child: UUID) -> None:
    taken = claimed(client, child)
    end(client, taken, lambda c, t: undone(c, Undoing.from_row(t.row), failure=None, ring_seconds=60))


def test_a_parent_does_not_wait_for_what_its_children_undo(client: AgentTasks, undoing: tuple[UUID, UUID]) -> None:
    parent, child = undoing
    assert statuses(client, [parent, child]) == ["pending", "pending"]
    assert row_of(client, child)["ending"]["status"] == "timeout"
    assert reserved_of(client, parent)["children"] == 1
    with client.database.connection() as connection:
        (found,) = joined_children(connection, parent, 1)
    assert found["ending"]["status"] == "timeout"
    taken = claimed(client, parent)
    undo(client, child)
    assert statuses(client, [parent, child]) == ["running", "timeout"]
    assert reserved_of(client, parent) == NOTHING_RESERVED
    assert row_of(client, parent)["spent_tokens"] == 30
    end(client, taken)
    assert row_of(client, parent)["status"] == "completed"


def test_a_late_child_of_an_earlier_fan_out_is_counted_for_nothing_but_its_money(
    client: AgentTasks, undoing: tuple[UUID, UUID]
) -> None:
    parent, late = undoing
    before = reserved_of(client, parent)
    ids = spawn(client, claimed(client, parent), 2)
    theirs = sum(row_of(client, child)["budget_tokens"] for child in ids)
    assert reserved_of(client, parent)["children"] == 2
    assert reserved_of(client, parent)["tokens"] == before["tokens"] + theirs
    undo(client, late)
    assert row_of(client, parent)["status"] == "waiting"
    assert reserved_of(client, parent)["children"] == 2
    assert reserved_of(client, parent)["tokens"] == theirs
    for child in ids:
        run_child(client, child, broken if child == ids[0] else done)
    assert row_of(client, parent)["status"] == "pending"
    assert reserved_of(client, parent) == NOTHING_RESERVED
    assert row_of(client, parent)["spent_tokens"] == 30


def test_a_parent_shares_out_only_what_its_earlier_children_do_not_hold(
    client: AgentTasks, undoing: tuple[UUID, UUID]
) -> None:
    parent, late = undoing
    taken = claimed(client, parent)
    with pytest.raises(BudgetExhausted):  # the late child may still spend all of it
        spawned_of(client, taken, FanOut([Child("echo")], then="echo"))
    undo(client, late)
    with client.database.connection() as connection:
        commit(connection, taken)
    spawned = spawned_of(client, claimed(client, parent), FanOut([Child("echo")], then="echo"))
    assert spawned.children[0].budget.tokens == 1000 - 30
