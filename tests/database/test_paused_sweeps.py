"""Pauses: what sweeps put off for them, ring when they have ended, and keep of them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from agent_tasks import AgentTasks, InvalidState
from agent_tasks.sweeps.sweeper import Sweeper
from agent_tasks.transitions.put_off import put_off_given
from tests.database import fall_due, query, row_of, submitted
from tests.database.pausing import events_of, is_claimed, put_off, swept
from tests.eventually import eventually


def test_a_bell_that_is_taken_for_nothing_puts_the_task_off_until_the_pause_has_ended(client: AgentTasks) -> None:
    task = submitted(client)
    client.pause(task)
    assert put_off(client) == []
    assert not is_claimed(client, task)
    assert put_off(client) == [task]
    sweeper = Sweeper(client)
    assert swept(sweeper) == {}
    client.resume_paused(task)
    assert swept(sweeper) == {"pauses": 1}
    assert put_off(client) == []
    assert swept(sweeper) == {}
    assert is_claimed(client, task)


def test_a_sweep_sees_a_paused_task_once(client: AgentTasks) -> None:
    tasks = [submitted(client) for _ in range(3)]
    client.pause(agent="echo")
    for task in tasks:
        fall_due(client, task)
    sweeper = Sweeper(client)
    assert swept(sweeper) == {"pauses": 3}
    versions = [row_of(client, task) for task in tasks]
    assert swept(sweeper) == {}
    assert swept(sweeper, "due") == {}
    assert [row_of(client, task) for task in tasks] == versions
    client.resume_paused(agent="echo")
    assert swept(sweeper) == {"pauses": 3}


def test_a_task_that_is_put_off_for_a_pause_that_has_ended_is_put_off_for_the_next(client: AgentTasks) -> None:
    task = submitted(client)
    client.pause(task)
    assert not is_claimed(client, task)
    client.pause(agent="echo")
    client.resume_paused(task)
    sweeper = Sweeper(client)
    sweeper.run_due()
    assert put_off(client) == [task]
    assert events_of(client, task) == ["submitted", "dispatched"]
    client.resume_paused(agent="echo")
    assert swept(sweeper) == {"pauses": 1}


def test_a_task_that_ends_while_it_is_paused_is_left_alone(client: AgentTasks) -> None:
    task = submitted(client)
    client.pause(task)
    assert not is_claimed(client, task)
    client.get(task).cancel()
    client.resume_paused(task)
    assert swept(Sweeper(client)) == {}
    assert query(client, "SELECT released_at IS NOT NULL AS released FROM agent_tasks.pauses") == [{"released": True}]


def test_the_pause_of_a_task_that_has_ended_ends_too(client: AgentTasks) -> None:
    ended, living = submitted(client), submitted(client)
    client.pause(ended)
    client.pause(living)
    client.get(ended).cancel()
    sweeper = Sweeper(client)
    sweeper.run("due")
    assert [pause.name for pause in client.pauses()] == [str(living)]
    (over,) = (pause for pause in client.pauses(ended=True) if pause.name == str(ended))
    assert over.ended_at is not None
    with pytest.raises(InvalidState, match="is not paused"):
        client.resume_paused(ended)


def test_pauses_that_ended_are_kept_as_long_as_the_audit_and_while_a_task_is_older(client: AgentTasks) -> None:
    query(client, "TRUNCATE agent_tasks.tasks CASCADE")
    client.pause(agent="echo")
    client.resume_paused(agent="echo")
    sweeper = Sweeper(client)
    sweeper.run("due")
    ago = """
        UPDATE agent_tasks.pauses SET began_at = began_at - %s, ended_at = ended_at - %s, released_at = released_at - %s
    """
    for days, kept in ((80, 1), (11, 0)):
        query(client, ago, *[timedelta(days=days)] * 3)
        sweeper.run("retention")
        assert len(client.pauses(ended=True)) == kept
    older = submitted(client)
    query(client, "UPDATE agent_tasks.tasks SET created_at = created_at - interval '100 days'")
    client.pause(agent="echo")
    client.resume_paused(agent="echo")
    sweeper.run("due")
    query(client, ago, *[timedelta(days=91)] * 3)
    for kept in (1, 0):
        sweeper.run("retention")
        assert len(client.pauses(ended=True)) == kept
        client.get(older).cancel()


def test_claims_that_overlap_do_not_keep_a_pause_from_ending(client: AgentTasks) -> None:
    first, second = submitted(client), submitted(client)
    client.pause(agent="echo")
    with ThreadPoolExecutor(2) as threads:
        with client.database.transaction() as connection:
            put_off_given(connection, [first])
            ending = threads.submit(client.resume_paused, agent="echo")
            eventually(lambda: waiting_for_advisory_locks(client) == 1)
            later = threads.submit(is_claimed, client, second)
            eventually(lambda: waiting_for_advisory_locks(client) == 2)  # behind the end, not past it
        assert ending.result(30).ended_at is not None
        assert later.result(30)
    assert put_off(client) == [first]
    Sweeper(client).run("due")
    assert put_off(client) == []
    assert is_claimed(client, first)


def waiting_for_advisory_locks(client: AgentTasks) -> int:
    sql = """
        SELECT count(*) AS n FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
    """
    return query(client, sql)[0]["n"]


def test_a_row_that_is_locked_keeps_its_pause_open(client: AgentTasks) -> None:
    task = submitted(client)
    client.pause(task)
    assert not is_claimed(client, task)
    client.resume_paused(task)
    sweeper = Sweeper(client)
    with client.database.transaction() as connection:
        connection.execute("SELECT FROM agent_tasks.tasks WHERE id = %s FOR UPDATE", [task])
        sweeper.run_due()
    assert put_off(client) == [task]
    assert swept(sweeper) == {"pauses": 1}


def test_what_was_paused_is_rung_though_many_others_wait_on_its_queue(client: AgentTasks) -> None:
    held = submitted(client)
    client.pause(held)
    assert not is_claimed(client, held)
    client.submit_many("echo", [{}] * 40)
    before = client.bells.waiting(["agents"])["agents"]
    client.resume_paused(held)
    sweeper = Sweeper(client)
    assert swept(sweeper) == {"pauses": 1}
    assert before is not None
    assert client.bells.waiting(["agents"])["agents"] == before + 1
    row = row_of(client, held)
    assert (row["rings"], row["put_off_by"]) == (0, None)
    assert events_of(client, held)[-1] == "dispatched"
    assert swept(sweeper) == {}
