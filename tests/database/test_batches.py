"""Transitions of many at once, on a real Postgres: each as if alone."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Budget, BudgetExhausted
from agent_tasks.engine.batching.combiners import Combiners
from agent_tasks.errors import LeaseLost
from agent_tasks.transitions import ledger
from agent_tasks.transitions.checkpoint import Committed, StepCommit, checkpoint_all
from agent_tasks.transitions.claim import Claim, Wanted, claim_all
from agent_tasks.transitions.complete import Finish, complete_all
from tests.database import all_of, claimed, lapse, query, row_of, single, submitted
from tests.database.children import types_of

TERMS = {"worker": "w", "lease_seconds": 60}


def tasks(client: AgentTasks, count: int = 4, **options: object) -> list[UUID]:
    return [submitted(client, **options) for _ in range(count)]


def lost(client: AgentTasks, taken: Claim) -> Claim:
    """The claim of a worker that overslept its lease; another one holds the step now."""
    lapse(client, taken.id)
    claimed(client, taken.id, worker="other")
    return taken


def test_of_many_claims_each_wins_or_loses_for_itself(client: AgentTasks) -> None:
    free, taken, past, gone = tasks(client)
    claimed(client, taken)
    with client.database.connection() as connection:
        wanted = [Wanted(free, "echo", 0), Wanted(taken, "echo", 0), Wanted(past, "echo", 7), Wanted(gone, "gone", 0)]
        found = claim_all(connection, wanted, **TERMS)
    assert [claim and getattr(claim, "id", claim) for claim in found] == [free, None, None, None]
    assert [row_of(client, task_id)["run"] for task_id in (free, taken, past, gone)] == [1, 1, 0, 0]


def test_of_many_commits_a_lost_one_changes_nothing_and_the_others_are_whole(client: AgentTasks) -> None:
    first, stale, last = (claimed(client, task_id) for task_id in tasks(client, 3))
    lost(client, stale)
    before = all_of(client, stale.id)
    steps = [
        StepCommit(first, Committed("echo", '{"value": 2}', 0.5), in_place=True),
        StepCommit(stale, Committed("echo", '{"value": 3}', 0.5), in_place=True),
        StepCommit(last, Committed("echo", '{"value": 4}', 0.5, progress='{"done": 1}', undoable=True), in_place=False),
    ]
    with client.database.connection() as connection:
        here, refused, there = checkpoint_all(connection, steps, ring_seconds=60)
    assert isinstance(refused, LeaseLost)
    assert all_of(client, stale.id) == before
    assert (here["status"], here["step_number"], here["attempt"]) == ("running", 1, 1)  # type: ignore[index]
    assert (there["status"], there["step_number"], there["attempt"]) == ("pending", 1, 0)  # type: ignore[index]
    for taken, value, event in ((first, 2, "claimed"), (last, 4, "dispatched")):
        (checkpoint,) = all_of(client, taken.id)["checkpoints"]
        assert (checkpoint["state"], checkpoint["run"], checkpoint["seconds"]) == ({"value": value}, 1, 0.5)
        assert types_of(client, taken.id) == ["submitted", "dispatched", "claimed", "committed", event]
    row = row_of(client, last.id)
    assert (row["progress"], row["undoable"], row["worker"]) == ({"done": 1}, 1, None)


def test_of_many_ends_one_that_is_out_of_time_does_not_end_and_the_others_do(client: AgentTasks) -> None:
    good, late = claimed(client), claimed(client, submitted(client, budget=Budget(seconds=5)))
    query(client, "UPDATE agent_tasks.tasks SET claimed_at = clock_timestamp() - interval '9 s' WHERE id = %s", late.id)
    with client.database.connection() as connection:
        done, refused = complete_all(connection, [Finish(good, "null", 0.1), Finish(late, "1", 0.1)])
    assert isinstance(refused, BudgetExhausted)
    assert (done["status"], done["result"]) == ("completed", None)  # type: ignore[index]
    assert [row_of(client, taken.id)["status"] for taken in (good, late)] == ["completed", "running"]


def test_of_many_calls_each_is_counted_in_its_own_task(client: AgentTasks) -> None:
    free, spent, stale = (claimed(client, submitted(client, budget=Budget(calls=calls))) for calls in (9, 1, 9))
    with client.database.connection() as connection:
        assert single.begin_call(connection, spent, 0, "pay", key="k", at_most_once=False) == 1
        lost(client, stale)
        begins = [ledger.CallBegin(taken, 1, "pay", "k", False) for taken in (free, spent, stale)]
        counted, none_left, refused = ledger.begin_calls(connection, begins)
        assert (counted, none_left) == (1, None)
        assert isinstance(refused, LeaseLost)
        ends = [ledger.CallEnd(free, 1, "completed", '{"a": 1}'), ledger.CallEnd(spent, 0, "failed", "null")]
        ends.append(ledger.CallEnd(stale, 1, "completed", "1"))
        answers = ledger.end_calls(connection, ends)
    assert answers[:2] == [None, None]
    assert isinstance(answers[2], LeaseLost)
    calls = query(client, "SELECT task_id, ordinal, status, outcome FROM agent_tasks.calls")
    assert {tuple(call.values()) for call in calls if call["outcome"] is None} == {(spent.id, 0, "failed", None)}
    assert [call["outcome"] for call in calls if call["task_id"] == free.id] == [{"a": 1}]


def test_a_step_that_postgres_refuses_harms_none_of_its_batch(client: AgentTasks) -> None:
    combiners = Combiners(client, "w")
    claims = [claimed(client, task_id) for task_id in tasks(client, 24)]

    def commit(number: int) -> object:
        state = "no JSON" if number == 7 else f'{{"value": {number}}}'
        try:
            return combiners.checkpoint(StepCommit(claims[number], Committed("echo", state, 0), in_place=True))
        except Exception as error:
            return error

    with ThreadPoolExecutor(24) as threads:
        found = list(threads.map(commit, range(24)))
    assert [number for number, row in enumerate(found) if isinstance(row, Exception)] == [7]
    assert [row_of(client, taken.id)["step_number"] for taken in claims] == [int(number != 7) for number in range(24)]


@pytest.mark.parametrize("threads", [2, 16])
def test_one_task_named_by_many_messages_at_once_is_claimed_once(client: AgentTasks, threads: int) -> None:
    combiners = Combiners(client, "w")
    task_id = submitted(client)
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda _: combiners.claim(Wanted(task_id, "echo", 0)), range(4 * threads)))
    assert [taken.run for taken in found if taken] == [1]
