"""Pauses: timers, time-outs, ttls and budgets' clocks stand meanwhile."""

from uuid import UUID

import pytest

from agent_tasks import AgentTasks
from agent_tasks.sweeps.sweeper import Sweeper
from agent_tasks.transitions.move import move
from agent_tasks.transitions.park import take
from tests.database import claimed, fall_due, open_sleep, open_wait, park, park_within, parked, query, row_of, submitted
from tests.database.pausing import is_claimed, later, swept


def test_an_orphan_is_not_given_up_while_it_is_paused_and_its_ttl_stands(client: AgentTasks) -> None:
    paused, other = submitted(client, ttl=60), submitted(client, ttl=60)
    sweeper = Sweeper(client)
    sweeper.run("orphans")
    client.pause(paused)
    back = "SET pending_since = pending_since - interval '100 s'"
    query(client, f"UPDATE agent_tasks.tasks {back}")
    query(client, "UPDATE agent_tasks.pauses SET began_at = began_at - interval '90 s'")
    query(client, "UPDATE agent_tasks.watches SET since = since - interval '1000 s'")
    assert swept(sweeper, "orphans") == {"orphans": 1}
    assert (row_of(client, paused)["status"], row_of(client, other)["status"]) == ("pending", "failed")
    client.resume_paused(paused)
    assert swept(sweeper, "orphans") == {}
    query(client, "UPDATE agent_tasks.tasks SET pending_since = pending_since - interval '55 s' WHERE id = %s", paused)
    query(client, "UPDATE agent_tasks.pauses SET began_at = began_at - interval '5 s'")
    assert swept(sweeper, "orphans") == {"orphans": 1}


def _seen(client: AgentTasks, ago: str, signatures: list[str] | None = None) -> None:
    """Have had a worker of the step, last seen so long ago."""
    query(
        client,
        """
        INSERT INTO agent_tasks.workers (id, hostname, pid, queues, steps, signatures, seen_at, started_at)
        SELECT 'w', 'h', 1, ARRAY['agents'], ARRAY['echo.echo'], %s::text[], clock_timestamp() - %s::interval,
            clock_timestamp() - interval '9 h'
        """,
        signatures,
        ago,
    )


@pytest.mark.parametrize(("seen", "given_up"), [("60 min", 0), ("80 min", 1)])
def test_the_ttl_stands_while_workers_are_stopped_in_a_pause(client: AgentTasks, seen: str, given_up: int) -> None:
    """The task was pending for long when its queue was paused; until then, or until before then, workers lived."""
    task = submitted(client, ttl=900)
    sweeper = Sweeper(client)
    sweeper.run("orphans")
    client.pause(queue="agents")
    query(client, "UPDATE agent_tasks.tasks SET pending_since = pending_since - interval '3 h'")
    query(client, "UPDATE agent_tasks.pauses SET began_at = began_at - interval '1 h'")
    query(client, "UPDATE agent_tasks.watches SET since = since - interval '5 h'")
    _seen(client, seen)
    client.resume_paused(queue="agents")
    sweeper.run_due()
    assert swept(sweeper, "orphans") == ({"orphans": given_up} if given_up else {})
    assert row_of(client, task)["status"] == ("failed" if given_up else "pending")


@pytest.mark.parametrize(("seen", "given_up"), [("60 min", 0), ("80 min", 1)])
def test_the_ttl_of_a_step_that_was_given_back_stands_in_a_pause(client: AgentTasks, seen: str, given_up: int) -> None:
    task = submitted(client, ttl=900)
    sweeper = Sweeper(client)
    sweeper.run("orphans")
    client.pause(queue="agents")
    query(
        client,
        """
        UPDATE agent_tasks.tasks SET pending_since = clock_timestamp(), refused = jsonb_build_object('times', 1,
            'why', 'other arguments', 'signatures', '["old"]'::jsonb,
            'since', clock_timestamp() - interval '3 h', 'until', clock_timestamp() - interval '2 h')
        """,
    )
    query(client, "UPDATE agent_tasks.pauses SET began_at = began_at - interval '1 h'")
    query(client, "UPDATE agent_tasks.watches SET since = since - interval '5 h'")
    _seen(client, seen, ["new"])
    client.resume_paused(queue="agents")
    sweeper.run_due()
    assert swept(sweeper, "orphans") == ({"orphans": given_up} if given_up else {})
    assert row_of(client, task)["status"] == ("failed" if given_up else "pending")


def waiting(client: AgentTasks, timeout: float) -> UUID:
    taken = claimed(client)
    with client.database.connection() as connection:
        park(connection, taken, "go", timeout=timeout)
    return taken.id


def left(client: AgentTasks, task_id: UUID) -> float:
    """The seconds until the task's wait times out, by the row and by what is shown, which are the same."""
    (row,) = query(
        client,
        """
        SELECT extract(epoch FROM due_at - clock_timestamp())::float8 AS due,
            extract(epoch FROM (waiting_for ->> 'until')::timestamptz - clock_timestamp())::float8 AS until
        FROM agent_tasks.tasks WHERE id = %s
        """,
        task_id,
    )
    assert row["due"] == pytest.approx(row["until"], abs=0.1)
    return row["due"]


def test_a_timer_that_comes_due_waits_for_the_end_of_the_pause(client: AgentTasks) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        parked(connection, taken, 60)
    client.pause(taken.id)
    later(client, taken.id, 100)
    sweeper = Sweeper(client)
    assert swept(sweeper) == {"pauses": 1}
    assert swept(sweeper) == {}
    assert row_of(client, taken.id)["status"] == "waiting"
    client.resume_paused(taken.id)
    assert swept(sweeper) == {"pauses": 1, "timers": 1}
    assert row_of(client, taken.id)["status"] == "pending"


def test_a_time_out_moves_by_the_pause_and_is_counted_once(client: AgentTasks) -> None:
    task = waiting(client, 60)
    client.pause(task)
    later(client, task, 100)
    sweeper = Sweeper(client)
    assert swept(sweeper) == {"pauses": 1}
    client.resume_paused(task)
    assert swept(sweeper) == {"pauses": 1, "timers": 1}
    assert left(client, task) == pytest.approx(60, abs=5)
    assert swept(sweeper, "due") == {}
    later(client, task, 61)
    assert swept(sweeper) == {"timers": 1}
    assert row_of(client, task)["status"] == "pending"


def test_a_time_out_moves_by_a_pause_that_is_over_before_it_is_due(client: AgentTasks) -> None:
    task = waiting(client, 60)
    client.pause(agent="echo")
    client.pause(task)  # both at once count once
    later(client, task, 40)
    client.resume_paused(task)
    client.resume_paused(agent="echo")
    query(client, "UPDATE agent_tasks.pauses SET ended_at = ended_at - interval '21 s', began_at = began_at")
    sweeper = Sweeper(client)
    fall_due(client, task)
    assert swept(sweeper) == {"timers": 1}
    assert row_of(client, task)["status"] == "waiting"
    assert left(client, task) == pytest.approx(60 - 40 + 19, abs=5)


def test_a_pause_before_the_wait_moves_nothing(client: AgentTasks) -> None:
    taken = claimed(client)
    client.pause(taken.id)
    client.resume_paused(taken.id)
    query(client, "UPDATE agent_tasks.pauses SET began_at = began_at - interval '1 h'")
    with client.database.connection() as connection:
        park(connection, taken, "go", timeout=60)
    fall_due(client, taken.id)
    assert swept(Sweeper(client)) == {"timers": 1}
    assert row_of(client, taken.id)["status"] == "pending"


def test_a_signal_during_a_pause_is_taken_and_the_step_is_not_begun(client: AgentTasks) -> None:
    task = waiting(client, 60)
    client.pause(task)
    assert client.get(task).signal("go", 1).delivered
    assert row_of(client, task)["status"] == "pending"
    assert not is_claimed(client, task)
    client.resume_paused(task)
    assert swept(Sweeper(client)) == {"pauses": 1}
    assert is_claimed(client, task)


def test_the_waits_of_a_parked_step_move_each_by_its_own_time(client: AgentTasks) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        park_within(connection, taken, open_wait(1, "go", timeout=60), open_sleep(2, 600))
    client.pause(taken.id)
    move = "jsonb_build_object('since', (wait ->> 'since')::timestamptz - interval '100 s', 'until', "
    move += "(wait ->> 'until')::timestamptz - interval '100 s')"
    query(client, f"UPDATE agent_tasks.calls SET wait = wait || {move}")
    later(client, taken.id, 100)
    sweeper = Sweeper(client)
    assert swept(sweeper) == {"pauses": 1}
    client.resume_paused(taken.id)
    assert swept(sweeper) == {"pauses": 1, "timers": 1}
    assert row_of(client, taken.id)["status"] == "waiting"
    assert left(client, taken.id) == pytest.approx(60, abs=5)
    seconds = "extract(epoch FROM (wait ->> 'until')::timestamptz - clock_timestamp())::float8"
    rows = query(client, f"SELECT {seconds} AS left FROM agent_tasks.calls ORDER BY ordinal")
    assert [row["left"] for row in rows] == [pytest.approx(60, abs=5), pytest.approx(500, abs=5)]
    shown = row_of(client, taken.id)["waiting_for"]["waits"]
    assert [wait["kind"] for wait in shown] == ["signal", "timer"]
    assert shown[0]["until"] == row_of(client, taken.id)["waiting_for"]["until"]


def test_a_step_that_another_wait_woke_does_not_time_out_early(client: AgentTasks) -> None:
    """Its time-out was due while it was paused, and no sweep has moved it yet."""
    taken = claimed(client)
    with client.database.connection() as connection:
        park_within(connection, taken, open_wait(1, "go", timeout=60), open_wait(2, "come", timeout=None))
    client.pause(taken.id)
    move = "jsonb_build_object('since', (wait ->> 'since')::timestamptz - interval '100 s', 'until', "
    move += "(wait ->> 'until')::timestamptz - interval '100 s')"
    query(client, f"UPDATE agent_tasks.calls SET wait = wait || {move}")
    later(client, taken.id, 100)
    client.get(taken.id).signal("come", 1)
    client.resume_paused(taken.id)
    again = claimed(client, taken.id)
    kept = query(client, "SELECT ordinal, wait FROM agent_tasks.calls ORDER BY ordinal")
    waits = [open_wait(1, "go", timeout=60), open_wait(2, "come", timeout=None)]
    for wait, row in zip(waits, kept, strict=True):
        wait.record.wait, wait.record.status = row["wait"], "started"
    with client.database.connection() as connection, connection.transaction():
        assert [ordinal for ordinal, _, _ in take(connection, again, waits, [1, 2])] == [2]


def test_the_clock_of_a_budget_stands_while_a_task_that_awaits_its_children_is_paused(client: AgentTasks) -> None:
    parent = claimed(client)
    query(
        client,
        """
        UPDATE agent_tasks.tasks SET status = 'waiting', worker = NULL, children_left = 1, due_at = NULL, waiting_for =
            jsonb_build_object('kind', 'children', 'since', clock_timestamp() - interval '100 s')
        WHERE id = %s
        """,
        parent.id,
    )
    client.pause(parent.id)
    query(client, "UPDATE agent_tasks.pauses SET began_at = began_at - interval '70 s'")
    client.get(parent.id).cancel()
    assert row_of(client, parent.id)["spent_seconds"] == pytest.approx(30, abs=5)


def test_a_time_out_that_was_paused_on_one_queue_stays_later_on_another(client: AgentTasks) -> None:
    task = waiting(client, 600)
    client.pause(queue="agents")
    later(client, task, 601)
    client.resume_paused(queue="agents")
    query(client, "UPDATE agent_tasks.pauses SET began_at = ended_at - interval '500 s'")
    with client.database.connection() as connection:
        move(connection, [task], "elsewhere", ring_seconds=60)
    sweeper = Sweeper(client)
    sweeper.run_due()
    assert row_of(client, task)["status"] == "waiting"
    assert left(client, task) == pytest.approx(499, abs=5)
    assert swept(sweeper, "due") == {}


def test_a_pause_of_a_queue_does_not_count_for_the_time_before_a_task_was_moved_there(client: AgentTasks) -> None:
    task = waiting(client, 60)
    client.pause(queue="elsewhere")
    later(client, task, 61)
    client.resume_paused(queue="elsewhere")
    with client.database.connection() as connection:
        move(connection, [task], "elsewhere", ring_seconds=60)
    assert swept(Sweeper(client)) == {"timers": 1}
    assert row_of(client, task)["status"] == "pending"
