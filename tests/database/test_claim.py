"""Claims: one worker wins a step, and a dead one's lease is taken over."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent_tasks import AgentTasks, Budget, ErrorInfo, ErrorType, Identity
from agent_tasks.transitions.cancel import cancel
from tests.database import all_of, claimed, commit, lapse, query, row_of, submitted, try_claim
from tests.database.single import claim


def test_of_many_claims_at_once_one_wins(client: AgentTasks) -> None:
    for _ in range(10):
        task_id = submitted(client)
        barrier = threading.Barrier(8)

        def rival(n: int, task_id=task_id, barrier=barrier):  # type: ignore[no-untyped-def]
            barrier.wait(10)
            return try_claim(client, task_id, worker=f"w{n}")

        with ThreadPoolExecutor(8) as threads:
            won = [taken for taken in threads.map(rival, range(8)) if taken is not None]
        assert len(won) == 1
        row = row_of(client, task_id)
        assert (row["run"], row["attempt"], row["crashes"]) == (1, 1, 0)
        assert [event["type"] for event in all_of(client, task_id)["events"]] == ["submitted", "dispatched", "claimed"]


def test_an_expired_lease_is_left_to_the_sweep(client: AgentTasks) -> None:
    task_id = claimed(client).id
    lapse(client, task_id)
    before = all_of(client, task_id)
    assert try_claim(client, task_id) is None
    assert all_of(client, task_id) == before


def test_a_living_lease_is_not_taken_over(client: AgentTasks) -> None:
    task_id = claimed(client).id
    before = all_of(client, task_id)
    assert try_claim(client, task_id, worker="other") is None
    assert all_of(client, task_id) == before


def test_a_late_message_for_a_committed_step_claims_nothing(client: AgentTasks) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        commit(connection, taken)
        options = {"worker": "w", "lease_seconds": 60.0}
        assert claim(connection, taken.id, "echo", 0, **options) is None
        assert claim(connection, taken.id, "other", 1, **options) is None
        assert claim(connection, taken.id, "echo", 2, **options) is None
        assert claim(connection, taken.id, "echo", 1, **options) is not None


def test_what_has_ended_or_waits_is_not_claimed(client: AgentTasks) -> None:
    ended, waiting = submitted(client), submitted(client)
    client.get(ended).cancel()
    query(client, "UPDATE agent_tasks.tasks SET status = 'waiting', waiting_for = '{}' WHERE id = %s", waiting)
    assert try_claim(client, ended) is None
    assert try_claim(client, waiting) is None


def test_a_claim_says_all_that_the_step_needs(client: AgentTasks) -> None:
    ana = Identity(subject="ana", tenant="acme", scopes=("write",))
    task = client.submit("echo", {"value": [1]}, identity=ana, session_id="s", budget=Budget(tokens=5, usd=0.1))
    taken = claimed(client, task.id)
    assert taken.state == {"value": [1]}
    assert (taken.identity, taken.session_id, taken.lineage_id) == (ana, "s", task.id)
    assert (taken.budget, taken.attempt, taken.failures, taken.repeated) == (Budget(tokens=5, usd=0.1), 1, 0, False)


def test_the_state_of_a_later_step_is_its_checkpoint(client: AgentTasks) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        commit(connection, taken, "echo", '{"value": "é"}')
    assert claimed(client, taken.id).state == {"value": "é"}


@pytest.mark.parametrize("lease_seconds", [0.5, 15.0, 3600.0])
def test_a_lease_lasts_as_long_as_it_was_asked_for_by_the_clock_of_the_database(
    client: AgentTasks, lease_seconds: float
) -> None:
    taken = claimed(client, lease_seconds=lease_seconds)
    sql = "SELECT extract(epoch FROM due_at - claimed_at)::float8 AS lease FROM agent_tasks.tasks WHERE id = %s"
    assert query(client, sql, taken.id)[0]["lease"] == pytest.approx(lease_seconds, abs=0.01)


def test_a_claim_and_a_cancel_at_once_leave_a_cancelled_task(client: AgentTasks) -> None:
    for _ in range(10):
        task_id = submitted(client)
        barrier = threading.Barrier(2)

        def stop(task_id=task_id, barrier=barrier):  # type: ignore[no-untyped-def]
            barrier.wait(10)
            with client.database.connection() as connection:
                return cancel(connection, task_id, ErrorInfo(type=ErrorType.CANCELLED, message="m"))

        def take(task_id=task_id, barrier=barrier):  # type: ignore[no-untyped-def]
            barrier.wait(10)
            return try_claim(client, task_id)

        with ThreadPoolExecutor(2) as threads:
            stopped, taken = threads.submit(stop), threads.submit(take)
            assert len(stopped.result()) == 1
            taken.result()
        history = all_of(client, task_id)
        assert history["tasks"][0]["status"] == "cancelled"
        assert [event["seq"] for event in history["events"]] == list(range(1, len(history["events"]) + 1))
