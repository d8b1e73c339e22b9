"""Pauses: no step of what is paused is begun, and nothing is lost when the pause ends."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from typer.testing import CliRunner, Result

from agent_tasks import AgentTasks, Identity, InvalidInput, InvalidState, PermissionDenied, Settings, TaskNotFound
from agent_tasks.cli.application import app
from agent_tasks.store import pause_look
from agent_tasks.store.errors import ServerAway
from agent_tasks.sweeps.sweeper import Sweeper
from agent_tasks.transitions.move import move
from agent_tasks.transitions.park import take
from agent_tasks.transitions.put_off import put_off_given
from tests.database import (
    adopt,
    all_of,
    claimed,
    claimed_apart,
    commit,
    fall_due,
    open_sleep,
    open_wait,
    park,
    park_within,
    parked,
    query,
    row_of,
    submitted,
    try_claim,
)
from tests.eventually import eventually

ANA = Identity(subject="ana", tenant="acme")
OPERATOR = Identity(subject="olga", tenant="acme", scopes=("tasks:all",))
BOB = Identity(subject="bob", tenant="other", scopes=("tasks:all",))


def events_of(client: AgentTasks, task_id: UUID) -> list[str]:
    return [event["type"] for event in all_of(client, task_id)["events"]]


def is_claimed(client: AgentTasks, task_id: UUID) -> bool:
    return try_claim(client, task_id) is not None


def test_a_paused_task_is_not_claimed_and_goes_on_when_the_pause_has_ended(client: AgentTasks) -> None:
    paused, other = submitted(client), submitted(client)
    begun = client.pause(paused, reason="too dear")
    assert (begun.kind, begun.name, begun.reason, begun.ended_at) == ("task", str(paused), "too dear", None)
    assert not is_claimed(client, paused)
    assert is_claimed(client, other)
    ended = client.resume_paused(paused)
    assert ended.id == begun.id
    assert ended.ended_at is not None
    assert is_claimed(client, paused)


@pytest.mark.parametrize("named", [{"agent": "echo"}, {"queue": "there"}, {"tenant": "acme"}])
def test_a_pause_of_an_agent_a_queue_or_a_tenant_holds_for_what_is_of_it(
    client: AgentTasks, named: dict[str, str]
) -> None:
    inside = submitted(client, queue="there", identity=ANA)
    client.pause(**named)
    later = submitted(client, queue="there", identity=ANA)
    assert not is_claimed(client, inside)
    assert not is_claimed(client, later)
    outside = submitted(client, queue="here", identity=BOB)
    assert is_claimed(client, outside) == ("agent" not in named)
    client.resume_paused(**named)
    assert is_claimed(client, inside)


def test_a_task_of_nobody_is_in_no_paused_tenant(client: AgentTasks) -> None:
    task = submitted(client)
    client.pause(tenant="acme")
    assert is_claimed(client, task)


def test_a_paused_task_takes_all_below_it_along(client: AgentTasks) -> None:
    chain = [submitted(client) for _ in range(6)]
    for above, below in pairwise(chain):
        adopt(client, above, below)
    client.pause(chain[1])
    assert [is_claimed(client, task) for task in chain] == [True, False, False, False, False, False]


def test_of_two_pauses_the_last_to_end_lets_a_task_go_on(client: AgentTasks) -> None:
    task = submitted(client)
    client.pause(task)
    client.pause(agent="echo")
    client.resume_paused(task)
    assert not is_claimed(client, task)
    client.resume_paused(agent="echo")
    assert is_claimed(client, task)


def test_a_suspect_step_is_not_begun_either(client: AgentTasks) -> None:
    task = submitted(client)
    query(client, "UPDATE agent_tasks.tasks SET suspect = 1 WHERE id = %s", task)
    client.pause(task)
    assert claimed_apart(client, task) is None
    client.resume_paused(task)
    assert claimed_apart(client, task) is not None


@pytest.mark.parametrize("paused", [False, True])
def test_a_worker_does_not_go_on_in_place_with_a_paused_task(client: AgentTasks, paused: bool) -> None:
    taken = claimed(client)
    if paused:
        client.pause(taken.id)
    with client.database.connection() as connection:
        row = commit(connection, taken, in_place=True)
    stored = row_of(client, taken.id)
    assert (row["status"], stored["status"]) == (("pending", "pending") if paused else ("running", "running"))
    assert (stored["step_number"], stored["attempt"]) == (1, 0 if paused else 1)
    assert (stored["worker"] is None) == paused
    assert events_of(client, taken.id)[-2:] == ["committed", "dispatched" if paused else "claimed"]


def test_a_running_step_commits_while_its_task_is_paused(client: AgentTasks) -> None:
    taken = claimed(client)
    client.pause(taken.id)
    with client.database.connection() as connection:
        assert commit(connection, taken)["status"] == "pending"


def test_what_is_paused_is_not_paused_again_and_what_is_not_does_not_go_on(client: AgentTasks) -> None:
    task = submitted(client)
    with pytest.raises(InvalidState, match="is not paused"):
        client.resume_paused(task)
    client.pause(task, reason="first")
    with pytest.raises(InvalidState, match="is paused since"):
        client.pause(task, reason="second")
    assert [pause.reason for pause in client.pauses()] == ["first"]
    client.resume_paused(task)
    with pytest.raises(InvalidState, match="is not paused"):
        client.resume_paused(task)
    assert client.pauses() == []
    assert [pause.reason for pause in client.pauses(ended=True)] == ["first"]


def test_a_pause_names_one_thing(client: AgentTasks) -> None:
    task = submitted(client)
    with pytest.raises(InvalidInput, match="nothing was named"):
        client.pause()
    with pytest.raises(InvalidInput, match="two were named"):
        client.pause(task, agent="echo")
    with pytest.raises(InvalidInput, match="two were named"):
        client.resume_paused(queue="there", agent="echo")
    with pytest.raises(InvalidInput):
        client.pause(tenant="")
    with pytest.raises(InvalidInput, match="reason must be text"):
        client.pause(task, reason=7)  # type: ignore[arg-type]
    assert client.pauses(ended=True) == []


def test_a_task_that_has_ended_is_not_paused(client: AgentTasks) -> None:
    task = submitted(client)
    client.get(task).cancel()
    with pytest.raises(InvalidState, match="has ended"):
        client.pause(task)


def test_tenants_pause_nothing_of_each_other(client: AgentTasks) -> None:
    own, others = submitted(client, identity=ANA), submitted(client, identity=BOB)
    with pytest.raises(TaskNotFound):
        client.pause(others, identity=OPERATOR)
    with pytest.raises(PermissionDenied):
        client.pause(tenant="other", identity=OPERATOR)
    with pytest.raises(PermissionDenied, match="tasks:all"):
        client.pause(agent="echo", identity=ANA)
    client.pause(agent="echo", identity=OPERATOR)
    assert not is_claimed(client, own)
    assert is_claimed(client, others)
    assert client.pauses(identity=BOB) == []
    assert client.pauses(identity=ANA) == []
    assert [pause.by for pause in client.pauses(identity=OPERATOR)] == ["olga"]
    with pytest.raises(InvalidState, match="is not paused"):
        client.resume_paused(agent="echo", identity=BOB)


def test_a_tenant_does_not_end_what_the_operators_have_paused(client: AgentTasks) -> None:
    task = submitted(client, identity=ANA)
    client.pause(task)
    client.pause(tenant="acme")
    with pytest.raises(PermissionDenied, match="operators"):
        client.resume_paused(task, identity=ANA)
    with pytest.raises(PermissionDenied, match="operators"):
        client.resume_paused(tenant="acme", identity=OPERATOR)
    assert {pause.by for pause in client.pauses(identity=OPERATOR)} == {"the operators"}
    admin = Identity(subject="root", scopes=("admin",))
    client.resume_paused(task, identity=admin)
    client.resume_paused(tenant="acme", identity=admin)
    assert [entry.subject for entry in client.audit(operation="unpause", limit=2)] == ["root", "root"]
    assert is_claimed(client, task)


def test_whoever_pauses_first_keeps_the_operators_from_nothing(client: AgentTasks) -> None:
    task = submitted(client, identity=ANA)
    client.pause(task, identity=ANA)
    client.pause(task, reason="runaway")
    with pytest.raises(InvalidState, match="is paused since"):
        client.pause(task)
    client.resume_paused(task, identity=ANA)
    assert not is_claimed(client, task)
    with pytest.raises(PermissionDenied, match="operators"):
        client.resume_paused(task, identity=ANA)
    client.resume_paused(task)
    assert is_claimed(client, task)


def test_the_operators_end_their_own_pause_first_and_then_that_of_the_tenant(client: AgentTasks) -> None:
    client.pause(tenant="acme", reason="theirs", identity=OPERATOR)
    client.pause(tenant="acme", reason="ours")
    assert client.resume_paused(tenant="acme").reason == "ours"
    assert client.resume_paused(tenant="acme").reason == "theirs"
    with pytest.raises(InvalidState, match="is not paused"):
        client.resume_paused(tenant="acme")


def test_the_operators_end_what_a_tenant_has_paused_of_an_agent(client: AgentTasks) -> None:
    task = submitted(client, identity=ANA)
    client.pause(agent="echo", identity=OPERATOR)
    with pytest.raises(InvalidState, match="is not paused"):
        client.resume_paused(agent="echo")
    assert client.resume_paused(agent="echo", tenant="acme").by == "olga"
    assert is_claimed(client, task)


@pytest.mark.parametrize("named", [{"agent": "echo"}, {"queue": "there"}])
def test_the_operators_pause_what_an_agent_or_a_queue_has_of_one_tenant(
    client: AgentTasks, named: dict[str, str]
) -> None:
    own, others = (submitted(client, queue="there", identity=who) for who in (ANA, BOB))
    begun = client.pause(**named, tenant="acme")
    assert (begun.tenant, begun.by_operators) == ("acme", True)
    assert not is_claimed(client, own)
    assert is_claimed(client, others)
    with pytest.raises(PermissionDenied, match="operators"):
        client.resume_paused(**named, identity=OPERATOR)
    with pytest.raises(PermissionDenied, match="only"):
        client.pause(**named, tenant="other", identity=OPERATOR)
    assert [pause.by for pause in client.pauses(identity=OPERATOR)] == ["the operators"]
    assert client.pauses(identity=BOB) == []
    client.resume_paused(**named, tenant="acme")
    assert is_claimed(client, own)


def test_a_tenant_without_a_name_is_listed_no_pauses_of_the_operators(client: AgentTasks) -> None:
    client.pause(agent="echo")
    assert client.pauses(identity=Identity(subject="nemo", scopes=("tasks:all",))) == []


def test_a_subject_pauses_its_own_task_and_lets_it_go_on(client: AgentTasks) -> None:
    task = submitted(client, identity=ANA)
    client.pause(task, identity=ANA)
    assert [pause.by for pause in client.pauses(identity=ANA)] == ["ana"]
    client.resume_paused(task, identity=ANA)
    assert is_claimed(client, task)


def test_who_paused_what_is_audited(client: AgentTasks) -> None:
    task = submitted(client, identity=ANA)
    client.pause(task, reason="why", identity=ANA)
    client.resume_paused(task, identity=ANA)
    client.pause(queue="there", reason="stuck")
    audit = [(entry.operation, entry.subject, entry.task_id, entry.target, entry.data) for entry in client.audit()][:3]
    assert audit == [
        ("pause", None, None, "there", {"kind": "queue", "reason": "stuck"}),
        ("unpause", "ana", task, str(task), {"kind": "task"}),
        ("pause", "ana", task, str(task), {"kind": "task", "reason": "why"}),
    ]
    client.pause(queue="there", tenant="acme")
    client.resume_paused(queue="there", tenant="acme")
    assert [(entry.tenant, entry.data) for entry in client.audit()][:2] == [
        ("", {"kind": "queue", "of_tenant": "acme"}), ("", {"kind": "queue", "of_tenant": "acme"}),
    ]  # fmt: skip


def test_a_paused_task_says_so_wherever_it_is_shown(client: AgentTasks) -> None:
    task = client.submit("echo", {"value": 1}, identity=ANA)
    assert task.snapshot().paused is None
    client.pause(agent="echo", reason="why")
    handle = client.get(task.id)
    shown = [
        handle.snapshot(), handle.stored(), handle.tree().snapshot, *client.living(), *client.search().tasks,
    ]  # fmt: skip
    for snapshot in shown:
        assert snapshot.paused is not None
        assert (snapshot.paused.kind, snapshot.paused.name, snapshot.paused.reason) == ("agent", "echo", "why")
    seen = client.get(task.id, identity=ANA).stored().paused
    assert seen is not None
    assert seen.by == "the operators"
    assert client.living()[0].paused.by != "the operators"  # type: ignore[union-attr]
    client.resume_paused(agent="echo")
    assert handle.snapshot().paused is None


def swept(sweeper: Sweeper, name: str | None = None) -> dict[str, int]:
    """The sweeps that moved anything, and how much."""
    moved = sweeper.run_due() if name is None else sweeper.run(name)
    return {each: number for each, number in moved.items() if number}


def put_off(client: AgentTasks) -> list[UUID]:
    rows = query(client, "SELECT id FROM agent_tasks.tasks WHERE put_off_by IS NOT NULL AND finished_at IS NULL")
    return [row["id"] for row in rows]


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


def later(client: AgentTasks, task_id: UUID, seconds: float) -> None:
    """Let a wait and the pauses that hold have begun so many seconds earlier, as if that time had passed."""
    back = "- make_interval(secs => %s)"
    sql = f"UPDATE agent_tasks.pauses SET began_at = began_at {back}, ended_at = ended_at {back}"
    query(client, sql, seconds, seconds)
    query(
        client,
        """
        UPDATE agent_tasks.tasks SET due_at = due_at - make_interval(secs => %(s)s), waiting_for = waiting_for
            || jsonb_build_object('since', (waiting_for ->> 'since')::timestamptz - make_interval(secs => %(s)s),
                'until', (waiting_for ->> 'until')::timestamptz - make_interval(secs => %(s)s))
        WHERE id = %(id)s
        """.replace("%(s)s", f"{seconds}").replace("%(id)s", f"'{task_id}'"),
    )


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


@pytest.fixture
def _in_force(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployment's settings, in the environment."""
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", settings.redis_url)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="agent-tasks")


@pytest.mark.usefixtures("_in_force")
def test_the_command_line_pauses_and_goes_on(client: AgentTasks) -> None:
    task = submitted(client)
    assert run("pauses").stdout == "Nothing is paused.\n"
    assert run("pause", str(task)[:18], "--reason", "too dear").stdout == f"The task {task} is paused\n"
    shown = [run(*command).stdout for command in (["status", str(task)], ["ps"], ["ls"], ["tree", str(task)])]
    assert ["too dear" in " ".join(text.split()) for text in shown] == [True] * 4
    assert f"task {task}" in run("pauses").stdout
    again = run("pause", str(task))
    assert (again.exit_code, "is paused since" in again.stderr) == (2, True)
    assert run("unpause", str(task)).stdout.startswith(f"The task {task} goes on")
    assert run("unpause", str(task)).exit_code == 2
    narrow = ["--agent", "echo", "--tenant", "acme"]
    assert run("pause", *narrow).stdout == "The agent echo of the tenant acme is paused\n"
    assert run("unpause", *narrow).stdout.startswith("The agent echo of the tenant acme goes on")
    assert run("pause").exit_code == 2
    assert run("pause", "--queue", "a", "--agent", "b").exit_code == 2
    assert json.loads(run("pause", "--queue", "a", "--json").stdout)["kind"] == "queue"
    assert len(run("pauses", "--ended", "--json").stdout.splitlines()) == 3


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


def test_a_pause_of_other_tasks_keeps_reads_at_the_mirror(client: AgentTasks) -> None:
    task = client.submit("echo", {"value": 1}, identity=ANA)
    seen = task.snapshot()
    client.pause(submitted(client))
    client.pause(agent="other")
    client.pause(agent="echo", identity=BOB)
    client.pause(tenant="other", identity=BOB)
    assert not client.pause_look.may_hold(seen)
    for named in ({"agent": "echo"}, {"queue": "agents"}, {"tenant": "acme"}, {"task": task}):
        client.pause(**named)  # type: ignore[arg-type]
        assert client.pause_look.may_hold(seen)
        client.resume_paused(**named)  # type: ignore[arg-type]
        assert not client.pause_look.may_hold(seen)


def test_where_postgres_is_away_a_look_is_tried_once_a_second(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = client.submit("echo", {"value": 1}).snapshot()
    client.pause_look.forget()
    tries: list[int] = []

    def away() -> None:
        tries.append(1)
        raise ServerAway

    monkeypatch.setattr(pause_look, "_SECONDS", 60.0)
    monkeypatch.setattr(client.database, "connection", away)
    with pytest.raises(ServerAway):
        client.pause_look.may_hold(seen)
    assert not client.pause_look.may_hold(seen)
    assert len(tries) == 1


def test_a_task_that_is_moved_off_a_paused_queue_goes_on_there(client: AgentTasks) -> None:
    pending, taken = submitted(client), claimed(client)
    queue = row_of(client, pending)["queue"]
    with client.database.connection() as connection:
        parked(connection, taken, 60)
    client.pause(queue=queue)
    assert not is_claimed(client, pending)
    fall_due(client, taken.id)
    sweeper = Sweeper(client)
    assert swept(sweeper) == {"pauses": 1}
    with client.database.connection() as connection:
        move(connection, [pending, taken.id], "elsewhere", ring_seconds=60)
    assert put_off(client) == []
    assert swept(sweeper) == {"timers": 1}
    assert is_claimed(client, pending)
    assert is_claimed(client, taken.id)
