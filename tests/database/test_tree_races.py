"""Trees that end from the top while they grow and end from below: nobody is forgotten, and no deadlock escapes."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Budget, ErrorInfo, ErrorType
from agent_tasks.errors import LeaseLost
from agent_tasks.store.errors import Contention
from agent_tasks.transitions.call_in import call_in
from agent_tasks.transitions.cancel import cancel, cancel_below
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.complete import Finish
from agent_tasks.transitions.join import join
from tests.database import BLOCKED, claimed, fall_due, query, row_of, submitted, try_claim
from tests.database.children import broken, done, end, spawn, types_of
from tests.database.single import complete
from tests.eventually import eventually

PLENTY = Budget(seconds=3600, tokens=100_000, usd=10.0, steps=10_000, calls=10_000)
GONE = ErrorInfo(type=ErrorType.CANCELLED, message="gone")
ENDED = "('completed', 'failed', 'cancelled', 'timeout', 'partial')"


def check_tree(client: AgentTasks, root: UUID) -> None:
    """What holds of a tree whatever has raced in it."""
    rows = query(client, "SELECT * FROM agent_tasks.tasks WHERE root_id = %s ORDER BY depth DESC", root)
    by_id = {row["id"]: row for row in rows}
    for row in rows:
        types = types_of(client, row["id"])
        assert len(types) == row["event_seq"]
        assert types.count("finished") == int(row["finished_at"] is not None)
        parent = by_id.get(row["parent_id"])
        if parent is not None and parent["finished_at"] is not None:
            assert row["finished_at"] is not None, "a child outlived its parent"
        if row["finished_at"] is None:
            mine = [r for r in rows if r["parent_id"] == row["id"] and r["parent_step"] == row["step_number"] - 1]
            assert row["children_left"] == sum(r["finished_at"] is None for r in mine)
            living = [r for r in rows if r["parent_id"] == row["id"] and r["finished_at"] is None]
            assert row["reserved_tokens"] == sum(r["budget_tokens"] for r in living)
            assert row["spent_tokens"] + row["reserved_tokens"] <= row["budget_tokens"]


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Run all at the same moment; a lost lease is an outcome, any other error is raised."""
    barrier = threading.Barrier(len(acts))

    def act(run: Callable[[], Any]) -> Any:
        barrier.wait(20)
        try:
            return run()
        except LeaseLost as lost:
            return lost

    with ThreadPoolExecutor(len(acts)) as threads:
        return [one.result() for one in [threads.submit(act, run) for run in acts]]


def test_children_that_are_spawned_while_their_parent_is_being_cancelled_end_with_it(client: AgentTasks) -> None:
    """The cancel waits for the lock of a parent whose FanOut commits: its statement does not see the children."""
    root = claimed(client, submitted(client, budget=PLENTY))
    (parent,) = spawn(client, root, 1)
    taken = claimed(client, parent)
    with ThreadPoolExecutor(2) as threads, client.database.transaction() as holding:
        holding.execute("SELECT FROM agent_tasks.tasks WHERE id = %s FOR UPDATE", [parent])
        spawning = threads.submit(spawn, client, taken, 3)
        eventually(lambda: query(client, BLOCKED))
        cancelling = threads.submit(client.get(root.id).cancel)
        eventually(lambda: len(query(client, BLOCKED)) == 2)
        holding.execute("SELECT 1")
    cancelling.result(10)
    try:
        assert len(spawning.result(10)) == 3
    except LeaseLost:
        assert len(query(client, "SELECT FROM agent_tasks.tasks")) == 2  # the cancel got the lock first
    assert query(client, f"SELECT FROM agent_tasks.tasks WHERE status NOT IN {ENDED}") == []
    check_tree(client, root.id)


@pytest.mark.parametrize("how", ["cancel", "cancel below", "call in"])
def test_a_fan_out_and_the_end_from_above_at_once_leave_no_child_behind(client: AgentTasks, how: str) -> None:
    for _ in range(12):
        root = claimed(client, submitted(client, budget=PLENTY))
        claims = [claimed(client, child) for child in spawn(client, root, 3)]
        if how == "call in":
            fall_due(client, root.id)

        def stop(root_id: UUID = root.id) -> Any:
            if how == "call in":
                return client.database.run(lambda c: call_in(c, limit=10, ring_seconds=60))
            if how == "cancel":
                return client.get(root_id).cancel()
            return client.database.run(
                lambda c: join(c, cancel_below(c, [root_id], GONE), ring_seconds=60)
            )  # fmt: skip

        at_once(stop, *(lambda claim=claim: spawn(client, claim, 2) for claim in claims))
        if how == "call in":
            stop()  # it skips a row that somebody holds: the next tick takes it
        below = f"SELECT FROM agent_tasks.tasks WHERE root_id = %s AND depth > 0 AND status NOT IN {ENDED}"
        assert query(client, below, root.id) == []
        assert row_of(client, root.id)["status"] == ("cancelled" if how == "cancel" else "pending")
        check_tree(client, root.id)


def test_a_cancel_of_the_root_and_the_end_of_all_children_at_once(client: AgentTasks) -> None:
    for _ in range(12):
        root = claimed(client, submitted(client, budget=PLENTY))
        claims = [claimed(client, child) for child in spawn(client, root, 6)]
        finishing = [lambda claim=claim, n=n: end(client, claim, broken if n % 3 == 0 else done)
                     for n, claim in enumerate(claims)]  # fmt: skip
        at_once(client.get(root.id).cancel, *finishing)
        assert (
            query(client, f"SELECT FROM agent_tasks.tasks WHERE root_id = %s AND status NOT IN {ENDED}", root.id) == []
        )
        assert row_of(client, root.id)["status"] == "cancelled"
        check_tree(client, root.id)


def test_a_cancel_of_a_child_at_the_end_of_its_siblings_wakes_the_parent_once(client: AgentTasks) -> None:
    for _ in range(12):
        root = claimed(client, submitted(client, budget=PLENTY))
        first, *others = spawn(client, root, 5)
        claims = [claimed(client, child) for child in others]
        at_once(
            client.get(first).cancel, client.get(first).cancel, *(lambda h=claim: end(client, h) for claim in claims)
        )
        row = row_of(client, root.id)
        assert (row["status"], row["children_left"], row["reserved_tokens"]) == ("pending", 0, 0)
        assert types_of(client, root.id).count("joined") == 1
        check_tree(client, root.id)


def test_a_failure_that_ends_the_tree_and_a_cancel_from_above_at_once(client: AgentTasks) -> None:
    for _ in range(3):
        root = claimed(client, submitted(client, budget=PLENTY))
        parent, other = spawn(client, root, 2)
        beside = claimed(client, other)
        claims = [claimed(client, c) for c in spawn(client, claimed(client, parent), 4, on_child_failure="fail")]
        at_once(
            client.get(root.id).cancel,
            lambda beside=beside: end(client, beside),
            *(lambda claim=claim: end(client, claim, broken) for claim in claims),
        )
        assert (
            query(client, f"SELECT FROM agent_tasks.tasks WHERE root_id = %s AND status NOT IN {ENDED}", root.id) == []
        )
        check_tree(client, root.id)


def test_a_deadlock_is_resolved_and_run_again_and_never_seen(client: AgentTasks) -> None:
    """A transition that locks from below meets one that locks from above, over and over."""
    root = claimed(client, submitted(client, budget=PLENTY))
    (child,) = spawn(client, root, 1)
    claim = claimed(client, child)
    met = threading.Barrier(2)

    def meet() -> None:
        try:
            met.wait(1)
        except threading.BrokenBarrierError:
            return  # the second time each is alone

    def from_below(connection: Any) -> Any:
        row = complete(connection, Finish(claim, "1", 0))
        meet()
        return join(connection, [row], ring_seconds=60)

    def from_above(connection: Any) -> Any:
        connection.execute("SELECT FROM agent_tasks.tasks WHERE id = %s FOR UPDATE", [root.id])
        meet()
        return cancel(connection, root.id, GONE)

    def until_it_is_committed() -> Any:
        """As a worker does: a row that is locked meanwhile is tried again."""
        deadline = monotonic() + 20
        while True:
            try:
                return client.database.run(from_below)
            except Contention:
                assert monotonic() < deadline

    at_once(until_it_is_committed, lambda: client.database.run(from_above))
    assert query(client, f"SELECT FROM agent_tasks.tasks WHERE status NOT IN {ENDED} AND id = %s", child) == []
    check_tree(client, root.id)


def test_a_forest_under_fire_stays_whole(client: AgentTasks) -> None:
    """Eight workers spawn, end, fail and cancel in three trees at random; in the end everything adds up."""
    roots = [submitted(client, budget=PLENTY) for _ in range(3)]

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(40):
            rows = query(
                client, "SELECT id, depth FROM agent_tasks.tasks WHERE status = 'pending' ORDER BY id LIMIT 30"
            )
            if not rows:
                return
            row = chance.choice(rows)
            claim = try_claim(client, row["id"])
            if claim is None:
                continue
            try:
                act_on(claim, row["depth"], chance)
            except LeaseLost:
                continue

    def act_on(claim: Claim, depth: int, chance: random.Random) -> None:
        roll = chance.random()
        if roll < 0.35 and depth < 4 and (claim.budget.tokens or 0) > 20:
            spawn(client, claim, chance.randint(1, 4), on_child_failure=chance.choice(["collect", "fail"]))
        elif roll < 0.45:
            end(client, claim, broken)
        elif roll < 0.52:
            client.get(claim.row["parent_id"] or claim.id).cancel()
        else:
            end(client, claim)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    for root in roots:
        check_tree(client, root)
        client.get(root).cancel()
        assert query(client, f"SELECT FROM agent_tasks.tasks WHERE root_id = %s AND status NOT IN {ENDED}", root) == []
        check_tree(client, root)
