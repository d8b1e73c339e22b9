"""Timers: waits that run out and sleeps, moved on by the database's clock and by nothing else."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Budget
from agent_tasks.transitions.checkpoint import Committed
from agent_tasks.transitions.ring import ring
from agent_tasks.transitions.signal import consumed
from agent_tasks.transitions.wait import sleep
from agent_tasks.transitions.wake import wake
from tests.database import Row, claimed, fall_due, park, query, row_of, submitted, swept
from tests.database.children import types_of


def waits(client: AgentTasks, *, timeout: float | None = 3600, on_timeout: str | None = None) -> UUID:
    taken = claimed(client)
    with client.database.connection() as connection:
        return park(connection, taken, "approval", timeout=timeout, on_timeout=on_timeout)["id"]


def sleeps(client: AgentTasks, *, seconds: float | None = None, until: datetime | None = None) -> Row:
    taken = claimed(client)
    with client.database.connection() as connection:
        return sleep(connection, taken, Committed("echo", '{"value": 2}', 0), seconds=seconds, until=until)


def woken(client: AgentTasks, limit: int = 100) -> list[UUID]:
    with client.database.connection() as connection:
        return [row["id"] for row in wake(connection, limit=limit, ring_seconds=60)]


def due_in(client: AgentTasks, task_id: UUID) -> float:
    sql = (
        "SELECT extract(epoch FROM due_at - clock_timestamp())::float8 AS seconds FROM agent_tasks.tasks WHERE id = %s"
    )
    return query(client, sql, task_id)[0]["seconds"]


def test_a_wait_that_runs_out_goes_on_with_its_step_and_without_a_signal(client: AgentTasks) -> None:
    task_id = waits(client)
    assert due_in(client, task_id) == pytest.approx(3600, abs=5)
    assert woken(client) == []
    fall_due(client, task_id)
    assert woken(client) == [task_id]
    assert woken(client) == []
    taken = claimed(client, task_id)
    assert (taken.step, taken.step_number, taken.state) == ("echo", 1, {"value": 2})
    with client.database.connection() as connection:
        assert consumed(connection, task_id, 1) == []


def test_a_wait_that_runs_out_goes_on_with_the_step_for_that_where_one_is_named(client: AgentTasks) -> None:
    task_id = waits(client, on_timeout="give_up")
    fall_due(client, task_id)
    assert woken(client) == [task_id]
    row = row_of(client, task_id)
    assert (row["status"], row["step"], row["step_number"], row["waiting_for"]) == ("pending", "give_up", 1, None)
    assert claimed(client, task_id).state == {"value": 2}


def test_a_signal_in_time_goes_on_with_the_step_and_not_with_the_one_for_the_timeout(client: AgentTasks) -> None:
    task_id = waits(client, on_timeout="give_up")
    assert client.get(task_id).signal("approval", 1).delivered
    row = row_of(client, task_id)
    assert (row["status"], row["step"]) == ("pending", "echo")
    fall_due(client, task_id)
    assert woken(client) == []


def test_a_signal_after_the_timeout_is_kept_for_the_next_wait(client: AgentTasks) -> None:
    task_id = waits(client)
    fall_due(client, task_id)
    woken(client)
    receipt = client.get(task_id).signal("approval", 1)
    assert (receipt.kept, receipt.delivered) == (True, False)


@pytest.mark.parametrize("seconds", [0.0, None])
def test_a_wait_of_no_time_is_due_at_once_and_one_without_a_timeout_never(
    client: AgentTasks, seconds: float | None
) -> None:
    task_id = waits(client, timeout=seconds)
    assert woken(client) == ([task_id] if seconds == 0.0 else [])
    if seconds is None:
        row = row_of(client, task_id)
        assert (row["due_at"], row["waiting_for"]["until"]) == (None, None)


def test_of_a_signal_and_the_timeout_at_once_one_wakes_the_task_and_the_step_is_that_ones(client: AgentTasks) -> None:
    for _ in range(10):
        task_id = waits(client, on_timeout="give_up")
        fall_due(client, task_id)
        barrier = threading.Barrier(2)

        def send(task_id: UUID = task_id, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait(10)
            return client.get(task_id).signal("approval", 1).delivered

        def sweep(barrier: threading.Barrier = barrier) -> list[UUID]:
            barrier.wait(10)
            return woken(client)

        with ThreadPoolExecutor(2) as threads:
            sent, swept_ = threads.submit(send), threads.submit(sweep)
            delivered = sent.result()
            assert delivered != (swept_.result() == [task_id])
        assert row_of(client, task_id)["step"] == ("echo" if delivered else "give_up")
        assert types_of(client, task_id).count("dispatched") == 2


def test_a_sleeping_task_wakes_when_it_is_due_and_not_before(client: AgentTasks) -> None:
    row = sleeps(client, seconds=86_400 * 60)
    assert (row["status"], row["worker"], row["waiting_for"]["kind"]) == ("waiting", None, "timer")
    assert due_in(client, row["id"]) == pytest.approx(86_400 * 60, abs=5)
    assert woken(client) == []
    fall_due(client, row["id"])
    assert woken(client) == [row["id"]]
    assert claimed(client, row["id"]).state == {"value": 2}
    assert types_of(client, row["id"]) == [
        "submitted", "dispatched", "claimed", "committed", "waiting", "dispatched", "claimed",
    ]  # fmt: skip


@pytest.mark.parametrize("until", [datetime(2001, 1, 1, tzinfo=UTC), datetime(8999, 12, 31, tzinfo=UTC)])
def test_a_sleep_until_a_time_is_due_at_that_time_and_past_ones_are_due_now(
    client: AgentTasks, until: datetime
) -> None:
    row = sleeps(client, until=until)
    assert row_of(client, row["id"])["due_at"] == until
    assert woken(client) == ([row["id"]] if until.year < 2002 else [])
    waiting_for = client.get(row["id"]).stored().waiting_for
    assert waiting_for is None or waiting_for.until == until


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_a_time_is_the_same_in_every_time_zone_of_the_database(client: AgentTasks, zone: str) -> None:
    query(client, f"ALTER DATABASE {query(client, 'SELECT current_database() AS n')[0]['n']} SET timezone = '{zone}'")
    client.close()
    until = datetime.now(UTC) + timedelta(hours=5)
    row = sleeps(client, until=until)
    assert row_of(client, row["id"])["due_at"] == until
    waiting_for = client.get(row["id"]).stored().waiting_for
    assert waiting_for is not None
    assert waiting_for.until == until


def test_waiting_costs_no_budget_of_time(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=Budget(seconds=10)))
    with client.database.connection() as connection:
        sleep(connection, taken, Committed("echo", "{}", 0), seconds=3600, until=None)
    query(
        client,
        "UPDATE agent_tasks.tasks SET claimed_at = claimed_at - interval '1 day', due_at = clock_timestamp() "
        "WHERE id = %s",
        taken.id,
    )
    assert woken(client) == [taken.id]
    assert row_of(client, taken.id)["spent_seconds"] < 5
    assert client.get(taken.id).cancel().budget.spent.seconds < 5


def test_ten_thousand_sleepers_are_not_touched_by_the_sweeps_while_nothing_is_due(client: AgentTasks) -> None:
    sleeping = sleeps(client, seconds=3600)["id"]
    query(
        client,
        """
        INSERT INTO agent_tasks.tasks (id, agent, status, step, queue, root_id, lineage_id, ttl_seconds, waiting_for,
            due_at)
        SELECT gen_random_uuid(), 'echo', 'waiting', 'echo', 'agents', gen_random_uuid(), gen_random_uuid(), 900,
            '{"kind": "timer"}', clock_timestamp() + interval '1 hour' FROM generate_series(1, 10000)
        """,
    )
    before = query(client, "SELECT sum(version) AS version FROM agent_tasks.tasks")
    assert woken(client) == []
    assert swept(client) == []
    with client.database.connection() as connection:
        assert ring(connection, limit=100, ring_seconds=60) == []
    assert query(client, "SELECT sum(version) AS version FROM agent_tasks.tasks") == before
    fall_due(client, sleeping)
    assert woken(client) == [sleeping]


def test_five_sweepers_at_once_wake_each_task_once(client: AgentTasks) -> None:
    ids = {sleeps(client, seconds=0)["id"] for _ in range(30)}
    barrier = threading.Barrier(5)

    def sweep(_: int) -> list[UUID]:
        barrier.wait(10)
        return [task_id for _ in range(10) for task_id in woken(client, limit=4)]

    with ThreadPoolExecutor(5) as threads:
        moved = [task_id for found in threads.map(sweep, range(5)) for task_id in found]
    assert sorted(moved + woken(client)) == sorted(ids)
    assert query(client, "SELECT DISTINCT event_seq FROM agent_tasks.tasks") == [{"event_seq": 6}]
