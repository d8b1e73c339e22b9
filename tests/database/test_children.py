"""Children: they are spawned in one commit, joined by a counter, and what they do not spend returns."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Budget, Identity
from agent_tasks.errors import BudgetExhausted, LeaseLost
from agent_tasks.store.database import Connection
from agent_tasks.store.queries.children import joined_children, usage
from agent_tasks.task.budget import Spend
from agent_tasks.transitions import spend
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.complete import Finish
from tests.database import Row, all_of, claimed, lapse, query, row_of, single, submitted, swept, try_claim
from tests.database.children import (
    DIVIDED,
    NOTHING_RESERVED,
    broken,
    done,
    end,
    reserved_of,
    run_child,
    spawn,
    statuses,
    types_of,
)
from tests.database.single import complete

PLENTY = Budget(tokens=1_000_000, usd=10.0, steps=10_000, calls=100_000)


def spender(tokens: int, usd: float, calls: int = 0):  # type: ignore[no-untyped-def]
    """Ends a child that has spent so much."""

    def write(connection: Connection, taken: Claim) -> Row:
        for ordinal in range(calls):
            single.begin_call(connection, taken, ordinal, "pay", key=str(ordinal), at_most_once=False)
        spend.charge(connection, taken, tokens=tokens, usd=usd)
        return complete(connection, Finish(taken, '"done"', 0))

    return write


def test_children_are_there_with_the_commit_of_their_parent_and_it_waits_for_them(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=PLENTY))
    ids = spawn(client, taken, 3)
    parent = row_of(client, taken.id)
    assert (parent["status"], parent["worker"], parent["step_number"], parent["children_left"]) == (
        "waiting", None, 1, 3,
    )  # fmt: skip
    assert parent["waiting_for"]["kind"] == "children"
    rows = [row_of(client, child) for child in ids]
    assert {(row["parent_id"], row["root_id"], row["parent_step"], row["depth"]) for row in rows} == {
        (taken.id, taken.id, 0, 1)
    }
    assert [(row["child_index"], row["input"]["value"], row["status"]) for row in rows] == [
        (n, n, "pending") for n in range(3)
    ]
    for name in DIVIDED:
        assert float(parent[f"reserved_{name}"]) == pytest.approx(sum(float(row[f"budget_{name}"]) for row in rows))
    assert types_of(client, taken.id)[-3:] == ["committed", "spawned", "waiting"]
    assert types_of(client, ids[0]) == ["submitted", "dispatched"]


def test_a_parent_goes_on_when_the_last_child_has_ended_and_not_before(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=PLENTY))
    ids = spawn(client, taken, 3)
    for n, child in enumerate(ids):
        assert row_of(client, taken.id)["children_left"] == 3 - n
        assert try_claim(client, taken.id) is None
        changed = run_child(client, child, broken if n == 1 else done)
        assert [row["id"] for row in changed] == [child, taken.id]
        assert changed[1]["status"] == ("pending" if n == 2 else "waiting")
    row = row_of(client, taken.id)
    assert (row["status"], row["waiting_for"], row["step"]) == ("pending", None, "echo")
    assert reserved_of(client, taken.id) == NOTHING_RESERVED
    assert types_of(client, taken.id)[-2:] == ["joined", "dispatched"]
    with client.database.connection() as connection:
        found = joined_children(connection, taken.id, 1)
    assert [(row["id"], row["status"]) for row in found] == [
        (ids[0], "completed"), (ids[1], "failed"), (ids[2], "completed"),
    ]  # fmt: skip


def test_what_children_spend_is_the_parents_and_what_they_leave_returns(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=Budget(tokens=300, usd=1.0, steps=31, calls=30)))
    with client.database.connection() as connection:
        spend.charge(connection, taken, tokens=10, usd=0.1)
    taken.spent = client.get(taken.id).stored().budget.spent
    first, second, third = spawn(client, taken, 3)
    assert reserved_of(client, taken.id) == {"tokens": 288, "usd": 0.9, "steps": 27, "calls": 30, "children": 3}
    run_child(client, first, spender(50, 0.2, calls=4))
    assert reserved_of(client, taken.id) == {"tokens": 192, "usd": 0.6, "steps": 18, "calls": 20, "children": 2}
    snapshot = client.get(taken.id).stored()
    assert (snapshot.budget.spent.tokens, snapshot.budget.spent.calls) == (60, 4)
    assert snapshot.budget.remaining.tokens == 300 - 60 - 192
    run_child(client, second, spender(500, 0.0))  # the last charge may pass the limit: the money is gone
    run_child(client, third, broken)
    snapshot = client.get(taken.id).stored()
    assert reserved_of(client, taken.id) == NOTHING_RESERVED
    assert (snapshot.budget.spent.tokens, snapshot.budget.spent.usd) == (560, 0.3)
    assert (snapshot.budget.spent.steps, snapshot.budget.spent.calls) == (1 + 2, 4)
    assert snapshot.budget.remaining.tokens == 0


def lows(client: AgentTasks, task_id: UUID) -> list[Row]:
    types_of(client, task_id)  # without a gap
    sql = "SELECT data FROM agent_tasks.events WHERE task_id = %s AND type = 'budget_low' ORDER BY seq"
    return [row["data"] for row in query(client, sql, task_id)]


def test_what_children_spend_warns_their_parent_once_at_eighty_in_a_hundred(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=Budget(tokens=100, usd=1.0, calls=10, steps=1000)))
    first, second, third = spawn(client, taken, 3)
    run_child(client, first, spender(79, 0.1, calls=3))
    assert lows(client, taken.id) == []
    run_child(client, second, spender(1, 0.7, calls=3))
    assert lows(client, taken.id) == [
        {"resource": "tokens", "spent": 80, "limit": 100},
        {"resource": "usd", "spent": pytest.approx(0.8), "limit": 1.0},
    ]
    run_child(client, third, spender(20, 0.2, calls=3))
    assert lows(client, taken.id)[2:] == [{"resource": "calls", "spent": 9, "limit": 10}]
    assert types_of(client, taken.id)[-5:] == ["budget_low", "budget_low", "budget_low", "joined", "dispatched"]


def test_the_time_in_which_children_are_awaited_and_the_steps_of_the_tree_warn_too(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=Budget(seconds=1000)))
    (child,) = spawn(client, taken, 1)
    since = "to_jsonb(clock_timestamp() - interval '900 s')"
    sql = f"UPDATE agent_tasks.tasks SET waiting_for = jsonb_set(waiting_for, '{{since}}', {since}) WHERE id = %s"
    query(client, sql, taken.id)
    run_child(client, child)
    (seconds,) = lows(client, taken.id)
    assert (seconds["resource"], seconds["limit"]) == ("seconds", 1000)
    assert seconds["spent"] == pytest.approx(900, abs=5)
    taken = claimed(client, submitted(client, budget=Budget(steps=10)))
    taken.spent = Spend(steps=7)
    spawn(client, taken, 1)
    assert lows(client, taken.id) == [{"resource": "steps", "spent": 8, "limit": 10}]


def test_without_a_limit_there_is_nothing_to_run_low(client: AgentTasks) -> None:
    taken = claimed(client)
    for child in spawn(client, taken, 2):
        run_child(client, child, spender(10**9, 1000.0))
    assert lows(client, taken.id) == []


def test_children_that_end_at_once_warn_their_parent_once(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=Budget(tokens=100)))
    children = [claimed(client, child) for child in spawn(client, taken, 8)]
    barrier = threading.Barrier(8)

    def spend_and_end(child: Claim) -> None:
        barrier.wait(10)
        end(client, child, spender(12, 0.0))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(spend_and_end, children))
    assert lows(client, taken.id) == [{"resource": "tokens", "spent": 84, "limit": 100}]


@pytest.mark.parametrize(("usd", "count"), [(1.0, 3), (0.1, 7), (2.0, 11), (1e-6, 3)])
def test_money_that_cannot_be_divided_evenly_returns_to_the_last_bit(
    client: AgentTasks, usd: float, count: int
) -> None:
    taken = claimed(client, submitted(client, budget=Budget(usd=usd)))
    for child in spawn(client, taken, count):
        run_child(client, child)
    assert row_of(client, taken.id)["reserved_usd"] == 0


@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_children_joined_by_eight_threads_with_repeated_messages_wake_the_parent_once(
    client: AgentTasks, count: int
) -> None:
    budget = Budget(tokens=3 * count, usd=10.0, steps=2 * count + 2, calls=count)
    taken = claimed(client, submitted(client, budget=budget))
    messages = spawn(client, taken, count) * 2
    random.Random(7).shuffle(messages)
    woken: list[Row] = []
    lock = threading.Lock()

    def work(mine: list[UUID]) -> int:
        ended = 0
        for child in mine:
            claim = try_claim(client, child)
            if claim is None:
                continue
            changed = end(client, claim, spender(2, 0.001, calls=1 if row_of(client, child)["child_index"] % 2 else 0))
            with pytest.raises(LeaseLost):  # its reply was lost: the commit is repeated
                end(client, claim)
            ended += 1
            with lock:
                woken.extend(row for row in changed if row["id"] == taken.id and row["status"] == "pending")
        return ended

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(work, [messages[n::8] for n in range(8)])) == count
    assert len(woken) == 1
    types = types_of(client, taken.id)
    assert (types.count("joined"), types.count("dispatched")) == (1, 2)
    assert reserved_of(client, taken.id) == NOTHING_RESERVED
    snapshot = client.get(taken.id).stored()
    assert (snapshot.budget.spent.tokens, snapshot.budget.spent.usd) == (2 * count, pytest.approx(count / 1000))
    assert (snapshot.budget.spent.steps, snapshot.budget.spent.calls) == (1 + count, count // 2)
    sql = "SELECT DISTINCT status, run, step_number, event_seq FROM agent_tasks.tasks WHERE parent_id = %s"
    assert query(client, sql, taken.id) == [{"status": "completed", "run": 1, "step_number": 1, "event_seq": 6}]


def test_many_that_end_in_one_sweep_are_counted_each(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=PLENTY))
    ids = spawn(client, taken, 5)
    for child in ids:
        claimed(client, child)
        query(client, "UPDATE agent_tasks.tasks SET crashes = 2, suspect = 2 WHERE id = %s", child)
        lapse(client, child)
    rows = swept(client)
    assert len(rows) == 6
    assert statuses(client, ids) == ["failed"] * 5
    assert row_of(client, taken.id)["status"] == "pending"
    assert reserved_of(client, taken.id) == NOTHING_RESERVED


def test_a_child_that_is_only_taken_back_or_tried_again_is_not_joined(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=PLENTY))
    (child,) = spawn(client, taken, 1)
    before = all_of(client, taken.id)
    claimed(client, child)
    lapse(client, child)
    swept(client)
    assert statuses(client, [child]) == ["pending"]
    assert all_of(client, taken.id) == before


def test_in_a_deep_tree_each_level_goes_on_when_the_one_below_has(client: AgentTasks) -> None:
    chain = [submitted(client, budget=PLENTY)]
    for _ in range(4):
        chain += spawn(client, claimed(client, chain[-1]), 1)
    assert [row_of(client, task_id)["depth"] for task_id in chain] == [0, 1, 2, 3, 4]
    assert {row_of(client, task_id)["root_id"] for task_id in chain} == {chain[0]}
    for level in range(4, 0, -1):
        run_child(client, chain[level], spender(10, 0.5))
        assert row_of(client, chain[level - 1])["status"] == "pending"
    assert row_of(client, chain[0])["spent_tokens"] == 40
    assert float(row_of(client, chain[0])["spent_usd"]) == 2.0
    assert all(reserved_of(client, task_id) == NOTHING_RESERVED for task_id in chain)


def test_a_step_that_overran_its_time_spawns_nothing(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=Budget(seconds=5)))
    query(client, "UPDATE agent_tasks.tasks SET claimed_at = claimed_at - interval '6 s' WHERE id = %s", taken.id)
    before = all_of(client, taken.id)
    with pytest.raises(BudgetExhausted):
        spawn(client, taken, 2)
    assert all_of(client, taken.id) == before
    assert len(query(client, "SELECT FROM agent_tasks.tasks")) == 1


def test_the_next_fan_out_counts_its_own_children(client: AgentTasks) -> None:
    task_id = submitted(client, budget=PLENTY)
    for number in range(3):
        ids = spawn(client, claimed(client, task_id), 2)
        assert {row_of(client, child)["parent_step"] for child in ids} == {number}
        for child in ids:
            run_child(client, child)
        with client.database.connection() as connection:
            assert [row["id"] for row in joined_children(connection, task_id, number + 1)] == ids
    assert reserved_of(client, task_id) == NOTHING_RESERVED


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_the_first_failure_ends_the_parent_that_asked_for_it_and_cancels_the_rest(
    client: AgentTasks, failing: int
) -> None:
    grand = claimed(client, submitted(client, budget=PLENTY, identity=Identity(subject="ana")))
    (parent,) = spawn(client, grand, 1)
    ids = spawn(client, claimed(client, parent), 3, on_child_failure="fail")
    (below,) = spawn(client, claimed(client, ids[(failing + 1) % 3]), 1)
    run_child(client, ids[(failing + 2) % 3], spender(5, 0.0))
    assert row_of(client, parent)["status"] == "waiting"
    run_child(client, ids[failing], broken)
    error = client.get(parent).stored().error
    assert error is not None
    assert (error.type, error.details["child"], error.details["cause"]["message"]) == (
        "partial_completion", str(ids[failing]), "broke",
    )  # fmt: skip
    assert statuses(client, [parent, ids[failing], ids[(failing + 1) % 3], ids[(failing + 2) % 3], below]) == [
        "failed", "failed", "cancelled", "completed", "cancelled",
    ]  # fmt: skip
    row = row_of(client, grand.id)
    assert (row["status"], row["spent_tokens"]) == ("pending", 5)
    assert reserved_of(client, grand.id) == NOTHING_RESERVED


def test_children_that_fail_at_once_end_their_parent_once(client: AgentTasks) -> None:
    for _ in range(5):
        taken = claimed(client, submitted(client, budget=PLENTY))
        claims = [claimed(client, child) for child in spawn(client, taken, 6, on_child_failure="fail")]
        barrier = threading.Barrier(6)

        def fail_it(claim: Claim, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(10)
            try:
                end(client, claim, broken)
            except LeaseLost:
                return  # a sibling was first, and it was cancelled

        with ThreadPoolExecutor(6) as threads:
            list(threads.map(fail_it, claims))
        ended = statuses(client, [claim.id for claim in claims])
        assert row_of(client, taken.id)["status"] == "failed"
        assert set(ended) <= {"failed", "cancelled"}
        assert "failed" in ended
        assert types_of(client, taken.id).count("finished") == 1


def test_usage_is_what_ninety_five_of_a_hundred_completed_runs_stayed_within(client: AgentTasks) -> None:
    for tokens in range(1, 21):
        run_child(client, submitted(client), spender(tokens * 100, tokens / 10, calls=tokens % 3))
    run_child(client, submitted(client), broken)
    with client.database.connection() as connection:
        seen = usage(connection, ["echo", "echo", "nobody"])
    assert set(seen) == {"echo"}
    assert seen["echo"].tokens == 1905
    assert seen["echo"].usd == pytest.approx(1.905)
    assert (seen["echo"].steps, seen["echo"].calls, seen["echo"].seconds) == (1, 2, None)
