"""Undo: when a task ends badly, what its committed steps did is taken back in reverse order, then it ends."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Budget, BudgetExhausted, ErrorInfo, ErrorType
from agent_tasks.errors import LeaseLost
from agent_tasks.transitions import ledger, spend
from agent_tasks.transitions.abandon import abandon
from agent_tasks.transitions.cancel import cancel
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fail import fail
from agent_tasks.transitions.retry import retry
from agent_tasks.transitions.undo import Undoing, undone
from agent_tasks.transitions.wake import wake
from tests.database import (
    BLOCKED,
    Row,
    all_of,
    claimed,
    commit,
    fall_due,
    lapse,
    query,
    row_of,
    single,
    submitted,
    swept,
    try_claim,
)
from tests.database.children import BROKEN, NOTHING_RESERVED, broken, end, reserved_of, spawn, types_of
from tests.eventually import eventually

GONE = ErrorInfo(type=ErrorType.CANCELLED, message="gone")


def booked(client: AgentTasks, task_id: UUID | None = None, *, partial: bool = False) -> Claim:
    """hotel (undo) → look (none) → flight (undo) → pay, which a worker holds."""
    task_id = task_id or submitted(client, budget=Budget(tokens=100, calls=9))
    query(client, "UPDATE agent_tasks.tasks SET step = 'hotel', input = '{\"guest\": \"ana\"}' WHERE id = %s", task_id)
    steps = ["hotel", "look", "flight", "pay"]
    for number, following in enumerate(steps[1:]):
        taken = claimed(client, task_id)
        with client.database.connection() as connection:
            if partial:
                spend.keep_partial(connection, taken, '"half"')
            undoable = steps[number] != "look"
            commit(connection, taken, following, f'{{"room": {number}, "of": "{following}"}}', undoable=undoable)
    return claimed(client, task_id)


def undo(client: AgentTasks, task_id: UUID, failure: ErrorInfo | None = None) -> Row:
    """A worker runs the undo that is due, or gives it up."""
    taken = claimed(client, task_id)
    rows = end(client, taken, lambda c, t: undone(c, Undoing.from_row(t.row), failure=failure, ring_seconds=60))
    return rows[0]


def error_of(client: AgentTasks, task_id: UUID) -> dict[str, Any]:
    return row_of(client, task_id)["error"]


def test_a_task_that_fails_undoes_in_reverse_order_what_has_an_undo_and_then_fails(client: AgentTasks) -> None:
    taken = booked(client)
    (row, *_) = end(client, taken, broken)
    assert (row["status"], row["step"], row["undo_step"], row["step_number"]) == ("pending", "undo:flight", 2, 3)
    assert (row["error"], row["finished_at"], row["ending"]["status"]) == (None, None, "failed")
    row = undo(client, taken.id)
    assert (row["status"], row["step"], row["undo_step"]) == ("pending", "undo:hotel", 0)
    row = undo(client, taken.id)
    assert (row["status"], row["error"]["message"], row["error"]["type"]) == ("failed", "broke", "step_failed")
    details = row["error"]["details"]
    assert [(step["step"], step["step_number"]) for step in details["undone"]] == [("flight", 2), ("hotel", 0)]
    assert details["not_undone"] == []
    assert types_of(client, taken.id)[-7:] == [
        "undoing", "claimed", "undone", "dispatched", "claimed", "undone", "finished",
    ]  # fmt: skip
    assert row_of(client, taken.id)["step_number"] == 3  # history is not rewritten
    assert [c["step"] for c in all_of(client, taken.id)["checkpoints"]] == ["hotel", "look", "flight"]


def test_an_undo_is_handed_what_its_step_was_given_and_what_it_passed_on(client: AgentTasks) -> None:
    taken = booked(client)
    end(client, taken, broken)
    flight = claimed(client, taken.id)
    assert (flight.undo_step, flight.state) == (2, {"room": 2, "of": "pay"})
    end(client, flight, lambda c, t: undone(c, Undoing.from_row(t.row), failure=None, ring_seconds=60))
    hotel = claimed(client, taken.id)
    assert (hotel.undo_step, hotel.state) == (0, {"guest": "ana", "room": 0, "of": "look"})


def cancelled(client: AgentTasks, taken: Claim) -> None:
    client.get(taken.id).cancel("gone")


def poisoned(client: AgentTasks, taken: Claim) -> None:
    query(client, "UPDATE agent_tasks.tasks SET crashes = 2, suspect = 2 WHERE id = %s", taken.id)
    lapse(client, taken.id)
    swept(client)


def exhausted(client: AgentTasks, taken: Claim) -> None:
    end(client, taken, lambda c, t: fail(c, t, BudgetExhausted.of("seconds", 5, 6).info))


@pytest.mark.parametrize(
    ("how", "partial", "status", "type_"),
    [
        (cancelled, False, "cancelled", "cancelled"),
        (poisoned, False, "failed", "poison"),
        (exhausted, False, "timeout", "budget_exhausted"),
        (exhausted, True, "partial", "budget_exhausted"),
    ],
)
def test_every_bad_end_waits_for_the_undo_and_then_is_what_was_decided(
    client: AgentTasks, how: Callable[[AgentTasks, Claim], None], partial: bool, status: str, type_: str
) -> None:
    taken = booked(client, partial=partial)
    how(client, taken)
    assert row_of(client, taken.id)["status"] == "pending"
    assert client.get(taken.id).stored().result is None
    undo(client, taken.id)
    row = undo(client, taken.id)
    assert (row["status"], row["error"]["type"], row["result"]) == (status, type_, "half" if partial else None)
    assert len(row["error"]["details"]["undone"]) == 2


def test_a_good_end_undoes_nothing(client: AgentTasks) -> None:
    taken = booked(client)
    (row,) = end(client, taken)
    assert (row["status"], row["ending"], row["undo_step"]) == ("completed", None, None)


def test_nobody_can_end_or_change_what_is_undoing(client: AgentTasks) -> None:
    taken = booked(client)
    cancelled(client, taken)
    before = all_of(client, taken.id)
    client.get(taken.id).cancel("again")
    with client.database.transaction() as connection:
        assert cancel(connection, taken.id, GONE) == []
    with pytest.raises(LeaseLost):
        end(client, taken, broken)
    with pytest.raises(LeaseLost):
        end(client, taken)
    assert all_of(client, taken.id) == before


def test_an_undo_that_is_given_up_is_reported_and_those_before_it_run(client: AgentTasks) -> None:
    taken = booked(client)
    end(client, taken, broken)
    undo(client, taken.id, failure=ErrorInfo(type=ErrorType.STEP_FAILED, message="the airline does not answer"))
    row = undo(client, taken.id)
    details = row["error"]["details"]
    assert [step["step"] for step in details["undone"]] == ["hotel"]
    assert details["not_undone"] == [{"step": "flight", "step_number": 2, "error": "the airline does not answer"}]
    assert "not_undone" in types_of(client, taken.id)
    assert row["status"] == "failed"


def test_a_failed_undo_waits_for_its_next_try_and_goes_on_where_it_was(client: AgentTasks) -> None:
    taken = booked(client)
    end(client, taken, broken)
    with client.database.connection() as connection:
        row = retry(connection, claimed(client, taken.id), BROKEN, 60.0, progress=None)
        assert (row["status"], row["waiting_for"]["name"]) == ("waiting", "undo:flight")
        assert client.get(taken.id).cancel().status == "waiting"
        fall_due(client, taken.id)
        assert len(wake(connection, limit=10, ring_seconds=60)) == 1
    again = claimed(client, taken.id)
    assert (again.step, again.undo_step, again.attempt, again.failures) == ("undo:flight", 2, 2, 1)


def test_a_crash_in_the_middle_goes_on_where_it_was_and_too_many_give_that_undo_up(client: AgentTasks) -> None:
    taken = booked(client)
    end(client, taken, broken)
    for death in range(5):  # twice it is suspect, and three times it was alone
        dead = claimed(client, taken.id)
        assert (dead.step, dead.undo_step) == ("undo:flight", 2)
        lapse(client, taken.id)
        (row,) = swept(client)
        assert row["step"] == ("undo:flight" if death < 4 else "undo:hotel")
        with pytest.raises(LeaseLost):
            end(client, dead, lambda c, t: undone(c, Undoing.from_row(t.row), failure=None, ring_seconds=60))
    row = undo(client, taken.id)
    assert [step["step"] for step in row["error"]["details"]["not_undone"]] == ["flight"]
    assert [step["step"] for step in row["error"]["details"]["undone"]] == ["hotel"]


def test_an_undo_is_committed_once(client: AgentTasks) -> None:
    taken = booked(client)
    end(client, taken, broken)
    undoing = claimed(client, taken.id)
    assert try_claim(client, taken.id) is None
    for _ in range(2):
        with client.database.connection() as connection:
            try:
                undone(connection, Undoing.from_row(undoing.row), failure=None, ring_seconds=60)
            except LeaseLost:
                break
    else:
        pytest.fail("it was committed twice")
    assert row_of(client, taken.id)["step"] == "undo:hotel"


def test_what_was_done_is_undone_whatever_it_costs_and_its_calls_are_recorded_apart(client: AgentTasks) -> None:
    taken = booked(client)
    with client.database.connection() as connection:
        single.begin_call(connection, taken, 0, "pay", key="k", at_most_once=False)
    query(client, "UPDATE agent_tasks.tasks SET spent_calls = 9, spent_tokens = 100 WHERE id = %s", taken.id)
    end(client, taken, broken)
    first = claimed(client, taken.id)
    with client.database.connection() as connection:
        assert ledger.recorded_calls(connection, first) == {}
        assert single.begin_call(connection, first, 0, "cancel", key="u", at_most_once=False) == 10
        single.end_call(connection, first, 0, status="completed", outcome='"cancelled"')
        spent, *_ = spend.charge(connection, first, tokens=5, usd=0.0)
    assert spent.tokens == 105
    lapse(client, taken.id)
    again = claimed(client, taken.id)
    with client.database.connection() as connection:
        assert [call.outcome for call in ledger.recorded_calls(connection, again).values()] == ["cancelled"]
    assert [(c["step_number"], c["name"]) for c in all_of(client, taken.id)["calls"]] == [(-3, "cancel"), (3, "pay")]


def test_an_orphan_in_the_middle_of_its_undo_ends_as_decided_with_all_that_was_not_undone(client: AgentTasks) -> None:
    taken = booked(client)
    end(client, taken, broken)

    def sweep() -> list[Row]:
        with client.database.transaction() as connection:
            return abandon(connection, limit=10, lease_seconds=1, gap_seconds=90)

    sweep()
    query(client, "UPDATE agent_tasks.watches SET since = since - interval '1 day'")
    query(client, "UPDATE agent_tasks.tasks SET pending_since = pending_since - interval '1 day'")
    (row,) = sweep()
    assert (row["status"], row["error"]["type"]) == ("failed", "step_failed")
    assert [step["step"] for step in row["error"]["details"]["not_undone"]] == ["flight", "hotel"]
    assert row["error"]["details"]["undone"] == []


def test_a_parent_learns_of_its_child_when_that_has_undone_what_it_did(client: AgentTasks) -> None:
    parent = claimed(client, submitted(client, budget=Budget(tokens=1000, calls=100)))
    (child,) = spawn(client, parent, 1)
    taken = booked(client, child)
    end(client, taken, broken)
    assert row_of(client, parent.id)["status"] == "waiting"
    undo(client, child)
    assert row_of(client, parent.id)["status"] == "waiting"
    undo(client, child)
    assert row_of(client, parent.id)["status"] == "pending"
    assert reserved_of(client, parent.id) == NOTHING_RESERVED


def test_a_cancelled_parent_undoes_when_its_children_have_ended_or_before_and_is_woken_by_none(
    client: AgentTasks,
) -> None:
    taken = claimed(client, submitted(client, budget=Budget(tokens=1000)))
    (child,) = spawn(client, taken, 1, undoable=True)
    with client.database.connection() as connection:
        commit(connection, claimed(client, child), undoable=True)
    client.get(taken.id).cancel()
    row = row_of(client, taken.id)
    assert (row["status"], row["step"], row["children_left"]) == ("pending", "undo:echo", 1)
    undo(client, child)
    row = row_of(client, taken.id)
    assert (row["status"], row["step"], row["children_left"]) == ("pending", "undo:echo", 0)
    assert "joined" not in types_of(client, taken.id)
    undo(client, taken.id)
    assert row_of(client, taken.id)["status"] == "cancelled"


def test_a_resumed_task_does_again_what_was_undone_with_new_keys_and_without_its_calls(client: AgentTasks) -> None:
    taken = booked(client)
    end(client, taken, broken)
    undo(client, taken.id)
    undo(client, taken.id)
    again = client.get(taken.id).resume()
    row = row_of(client, again.id)
    assert (row["step"], row["step_number"], row["lineage_id"]) == ("hotel", 0, again.id)
    assert row["undoable"] == 0
    assert all_of(client, again.id)["calls"] == []
    assert claimed(client, again.id).state == {"guest": "ana"}


def test_a_cancel_that_waits_for_the_commit_of_a_step_undoes_that_step(client: AgentTasks) -> None:
    """The statement that waits does not see the checkpoint of the commit for which it waits."""
    taken = claimed(client)
    with ThreadPoolExecutor(1) as threads, client.database.transaction() as committing:
        commit(committing, taken, undoable=True)
        cancelling = threads.submit(client.get(taken.id).cancel)
        eventually(lambda: query(client, BLOCKED))
        committing.execute("SELECT 1")
    assert cancelling.result(10).status == "pending"
    row = row_of(client, taken.id)
    assert (row["step"], row["undo_step"], row["ending"]["status"]) == ("undo:echo", 0, "cancelled")


def test_what_is_spent_below_a_parent_that_has_ended_is_spent_all_the_same(client: AgentTasks) -> None:
    top = claimed(client, submitted(client, budget=Budget(tokens=100, steps=100)))
    (middle,) = spawn(client, top, 1)
    (low,) = spawn(client, claimed(client, middle), 1, asks=[Budget(tokens=60)])
    taken = claimed(client, low)
    with client.database.connection() as connection:
        spend.charge(connection, taken, tokens=20, usd=0.0)
        commit(connection, taken, undoable=True)
    client.get(middle).cancel("gone")
    assert (row_of(client, middle)["status"], row_of(client, low)["status"]) == ("cancelled", "pending")
    assert reserved_of(client, top.id)["tokens"] == 60  # the undo may spend it
    undo(client, low)
    assert row_of(client, top.id)["spent_tokens"] == 20
    assert reserved_of(client, top.id) == NOTHING_RESERVED
