"""Orphans: tasks that no live worker serves are given up past their TTL, and only those."""

from uuid import UUID

import pytest

from agent_tasks import AgentTasks, ErrorInfo, ErrorType, InvalidInput, InvalidState, StepFailed, metrics
from agent_tasks.store.rows import Row
from agent_tasks.sweeps import orphans
from agent_tasks.transitions import spend
from agent_tasks.transitions.abandon import abandon
from agent_tasks.transitions.heartbeat import WorkerRecord, forget_dead, sign_off, sign_on
from agent_tasks.transitions.release import release
from agent_tasks.transitions.retry import retry
from agent_tasks.transitions.ring import ring
from tests.database import adopt, all_of, claimed, commit, fall_due, operations_of, query, row_of, single, submitted
from tests.database.children import run_child, spawn, types_of


def given_up(client: AgentTasks, gap_seconds: float = 90.0) -> list[Row]:
    with client.database.transaction() as connection:
        return abandon(connection, limit=100, lease_seconds=2.0, gap_seconds=gap_seconds)


@pytest.fixture
def watched(client: AgentTasks) -> AgentTasks:
    """The sweep has looked for a day without a gap."""
    given_up(client)
    query(client, "UPDATE agent_tasks.watches SET since = since - interval '1 day'")
    return client


def age(client: AgentTasks, task_id: UUID, seconds: float) -> None:
    sql = "UPDATE agent_tasks.tasks SET pending_since = clock_timestamp() - make_interval(secs => %s) WHERE id = %s"
    query(client, sql, seconds, task_id)


def after_a_step(client: AgentTasks, task_id: UUID, *, partial: str | None = None) -> None:
    taken = claimed(client, task_id)
    with client.database.connection() as connection:
        if partial:
            spend.keep_partial(connection, taken, partial)
        single.begin_call(connection, taken, 0, "pay", key="k", at_most_once=False)
        single.end_call(connection, taken, 0, status="completed", outcome='"secret"')
        commit(connection, taken, "echo", '{"value": "secret"}')


def alive(client: AgentTasks, *, queue: str = "agents", step: str = "echo.echo") -> None:
    with client.database.connection() as connection:
        sign_on(connection, WorkerRecord("w@h/1", "h", 1, (queue,), (step,)), seconds=60)


def test_a_task_past_its_ttl_is_given_up_as_context_lost(watched: AgentTasks) -> None:
    old, young = submitted(watched, ttl=100), submitted(watched, ttl=100)
    age(watched, old, 101)
    age(watched, young, 90)
    (row,) = given_up(watched)
    assert (row["id"], row["status"]) == (old, "failed")
    error = ErrorInfo.model_validate(row["error"])
    assert (error.type, error.suggested_action, error.checkpoint) == (ErrorType.CONTEXT_LOST, "resume", None)
    assert "echo.echo" in error.message
    assert "agents" in error.message
    assert [event["type"] for event in all_of(watched, old)["events"]][-2:] == ["expired", "finished"]
    assert given_up(watched) == []


def test_one_with_partial_results_ends_as_partial_and_can_be_resumed(watched: AgentTasks) -> None:
    task_id = submitted(watched, ttl=100)
    after_a_step(watched, task_id, partial='["half"]')
    age(watched, task_id, 101)
    (row,) = given_up(watched)
    assert (row["status"], row["result"], row["error"]["checkpoint"]) == ("partial", ["half"], 1)
    assert watched.get(task_id).resume().snapshot().step_number == 1


def test_a_live_worker_that_serves_the_step_protects_a_task_however_long_it_queues(watched: AgentTasks) -> None:
    task_id = submitted(watched, ttl=100)
    age(watched, task_id, 50_000)
    alive(watched)
    assert given_up(watched) == []
    with watched.database.connection() as connection:
        sign_off(connection, "w@h/1")
    assert given_up(watched) == []  # its TTL begins when its last worker goes: a deploy ends nothing
    query(watched, "UPDATE agent_tasks.workers SET seen_at = clock_timestamp() - interval '101 seconds'")
    assert len(given_up(watched)) == 1


@pytest.mark.parametrize(("queue", "step"), [("other", "echo.echo"), ("agents", "other.echo"), ("agents", "echo")])
def test_a_live_worker_of_other_steps_or_queues_protects_nothing(watched: AgentTasks, queue: str, step: str) -> None:
    age(watched, submitted(watched, ttl=100), 101)
    alive(watched, queue=queue, step=step)
    assert len(given_up(watched)) == 1


def test_a_worker_that_fell_silent_protects_nothing_and_is_forgotten(watched: AgentTasks) -> None:
    age(watched, submitted(watched, ttl=100), 101)
    alive(watched)
    query(watched, "UPDATE agent_tasks.workers SET seen_at = clock_timestamp() - interval '1 hour'")
    assert len(given_up(watched)) == 1
    with watched.database.connection() as connection:
        assert forget_dead(connection, seconds=4000) == 0
        assert forget_dead(connection, seconds=3000) == 1


def test_an_outage_of_everything_ends_nothing(watched: AgentTasks) -> None:
    task_id = submitted(watched, ttl=100)
    age(watched, task_id, 50_000)
    query(watched, "UPDATE agent_tasks.watches SET last_at = clock_timestamp() - interval '91 s'")
    assert given_up(watched) == []
    assert given_up(watched) == []
    query(watched, "UPDATE agent_tasks.watches SET since = clock_timestamp() - interval '101 s'")
    assert len(given_up(watched)) == 1


def test_what_runs_or_waits_is_no_orphan(watched: AgentTasks) -> None:
    running, waiting = claimed(watched).id, submitted(watched)
    query(watched, "UPDATE agent_tasks.tasks SET status = 'waiting', waiting_for = '{}' WHERE id = %s", waiting)
    age(watched, running, 1e6)
    age(watched, waiting, 1e6)
    assert given_up(watched) == []


def test_a_bell_is_no_progress_but_a_commit_is(watched: AgentTasks) -> None:
    rung, committed = submitted(watched, ttl=100), submitted(watched, ttl=100)
    age(watched, rung, 101)
    age(watched, committed, 101)
    fall_due(watched, rung)
    with watched.database.connection() as connection:
        ring(connection, limit=10, ring_seconds=1)
    taken = claimed(watched, committed)
    with watched.database.connection() as connection:
        release(connection, [(taken.id, taken.run)], ring_seconds=1)
    assert [row["id"] for row in given_up(watched)] == [rung]


def test_what_a_sensitive_agent_recorded_is_purged_and_cannot_be_resumed(watched: AgentTasks) -> None:
    task_id = watched.submit("sensitive", {"folder": "secret", "secret": "secret"}, ttl=100).id
    after_a_step(watched, task_id)
    query(watched, "UPDATE agent_tasks.tasks SET step = 'secretive' WHERE id = %s", task_id)
    age(watched, task_id, 101)
    (row,) = given_up(watched)
    assert (row["status"], row["error"]["suggested_action"], row["error"]["checkpoint"]) == ("failed", "escalate", None)
    assert row["error"]["details"]["purged"] is True
    kept = all_of(watched, task_id)
    assert "'secret'" not in repr(kept)
    assert (len(kept["checkpoints"]), len(kept["calls"])) == (1, 1)
    with pytest.raises(InvalidState, match="purged"):
        watched.get(task_id).resume()


SECRET = "SSN-123"


def left_of(client: AgentTasks) -> set[str]:
    """The columns of all tables in which the secret still is."""
    names = "SELECT table_name AS t FROM information_schema.tables WHERE table_schema = 'agent_tasks'"
    found = {
        f"{table['t']}.{column}"
        for table in query(client, names)
        for row in query(client, f"SELECT * FROM agent_tasks.{table['t']}")
        for column, value in row.items()
        if SECRET in str(value)
    }
    return found


@pytest.mark.parametrize("ending", [False, True])
def test_of_a_sensitive_orphan_nothing_is_left_that_it_has_seen(watched: AgentTasks, ending: bool) -> None:
    secret = {"ssn": SECRET}
    task = watched.submit(
        "sensitive", {"folder": "/tmp", "secret": SECRET}, ttl=100, metadata=secret, idempotency_key="one"
    )
    task.signal("approval", secret)
    taken = claimed(watched, task.id)
    operations = operations_of(watched, taken)
    operations.emit("found", secret)
    operations.progress(1, 2, f"reading {SECRET}")
    operations.flush_progress()
    operations.partial(secret)
    with watched.database.connection() as connection:
        single.begin_call(connection, taken, 0, "pay", key="k", at_most_once=False)
        single.end_call(connection, taken, 0, status="completed", outcome=f'"{SECRET}"')
        commit(connection, taken, "secretive", f'{{"folder": "/tmp", "secret": "{SECRET}"}}', undoable=True)
    query(watched, "UPDATE agent_tasks.calls SET digest = %s, key = %s", SECRET, SECRET)
    taken = claimed(watched, task.id)
    with watched.database.connection() as connection:
        retry(connection, taken, StepFailed(f"ValueError: {SECRET} is wrong").info, 0.0, progress=None)
    if ending:
        query(watched, "UPDATE agent_tasks.tasks SET traceback = %s", SECRET)
        task.cancel(f"{SECRET} must not be seen")
    query(watched, "UPDATE agent_tasks.tasks SET status = 'pending', waiting_for = NULL, due_at = clock_timestamp()")
    age(watched, task.id, 101)
    keys = query(watched, "SELECT digest FROM agent_tasks.idempotency_keys")
    assert left_of(watched) > {"tasks.input", "events.data", "calls.outcome", "checkpoints.state", "signals.payload"}
    assert orphans.run_once(watched) == 1
    assert left_of(watched) == set()
    snapshot = task.stored()
    assert (snapshot.status, snapshot.result, snapshot.partial) == ("cancelled" if ending else "failed", None, None)
    assert snapshot.error is not None
    assert snapshot.error.details["purged"] is True
    types_of(watched, task.id)  # without a gap
    assert query(watched, "SELECT digest FROM agent_tasks.idempotency_keys") != keys
    with pytest.raises(InvalidState, match="purged"):
        task.resume()


def test_of_an_orphan_that_is_not_sensitive_all_is_kept(watched: AgentTasks) -> None:
    task = watched.submit("echo", {"value": SECRET}, ttl=100, metadata={"ssn": SECRET})
    operations = operations_of(watched, claimed(watched, task.id))
    operations.emit("found", {"ssn": SECRET})
    operations.partial({"ssn": SECRET})
    query(watched, "UPDATE agent_tasks.tasks SET status = 'pending', worker = NULL, due_at = clock_timestamp()")
    age(watched, task.id, 101)
    before = metrics.ORPHANS.labels("echo", "partial")._value.get()
    assert orphans.run_once(watched) == 1
    assert metrics.ORPHANS.labels("echo", "partial")._value.get() == before + 1
    kept = {"tasks.input", "tasks.metadata", "tasks.partial", "tasks.result", "events.data", "labels.value"}
    assert left_of(watched) == kept
    assert task.stored().status == "partial"


def orphan_with_children(client: AgentTasks, *, sensitive: bool) -> tuple[UUID, dict[str, UUID]]:
    """A task that lost its workers while its children of an earlier FanOut were in all states."""
    root = claimed(client, submitted(client, ttl=100))
    names = ("done", "begun", "new", "undoes")
    ids: dict[str, UUID] = dict(zip(names, spawn(client, root, len(names)), strict=True))
    ids["below"] = adopt(client, ids["begun"], submitted(client))
    query(client, "UPDATE agent_tasks.tasks SET sensitive = %s", sensitive)
    query(client, 'UPDATE agent_tasks.tasks SET input = \'{"value": "secret"}\'::jsonb')
    for name in ("done", "begun", "below"):
        after_a_step(client, ids[name])
    client.get(ids["begun"]).signal("approval", "secret")
    taken = claimed(client, ids["undoes"])
    with client.database.connection() as connection:
        commit(connection, taken, "echo", '{"value": "secret"}', undoable=True)
    run_child(client, ids["done"])
    sql = """
        UPDATE agent_tasks.tasks
            SET status = 'pending', waiting_for = NULL, due_at = now(), pending_since = now() - interval '1 h'
        WHERE id = %s
    """
    query(client, sql, root.id)
    return root.id, ids


def recorded(client: AgentTasks, task_id: UUID) -> str:
    signals = query(client, "SELECT payload FROM agent_tasks.signals WHERE task_id = %s", task_id)
    return repr([all_of(client, task_id), signals])


def test_what_is_below_a_sensitive_orphan_ends_with_it_and_is_purged(watched: AgentTasks) -> None:
    root, ids = orphan_with_children(watched, sensitive=True)
    assert all("'secret'" in recorded(watched, task_id) for task_id in ids.values())
    assert orphans.run_once(watched) == 1
    assert [row_of(watched, ids[name])["status"] for name in ids] == [
        "completed", "cancelled", "cancelled", "pending", "cancelled",
    ]  # fmt: skip
    assert [name for name in ids if "'secret'" in recorded(watched, ids[name])] == ["undoes"]
    error = row_of(watched, ids["begun"])["error"]
    assert (error["details"], error["suggested_action"], error["checkpoint"]) == ({"purged": True}, "escalate", None)
    for name in ("begun", "new", "below"):
        with pytest.raises(InvalidState, match="purged"):
            watched.get(ids[name]).resume()
    for task_id in (root, *ids.values()):
        types_of(watched, task_id)  # without a gap


def test_what_is_below_an_orphan_that_is_not_sensitive_keeps_what_it_recorded(watched: AgentTasks) -> None:
    _, ids = orphan_with_children(watched, sensitive=False)
    assert orphans.run_once(watched) == 1
    assert all("'secret'" in recorded(watched, task_id) for task_id in ids.values())
    assert row_of(watched, ids["begun"])["error"]["checkpoint"] == 1
    assert watched.get(ids["begun"]).resume().stored().step_number == 1


def test_what_others_recorded_is_kept(watched: AgentTasks) -> None:
    task_id = submitted(watched, ttl=100)
    after_a_step(watched, task_id)
    age(watched, task_id, 101)
    given_up(watched)
    kept = all_of(watched, task_id)
    assert kept["checkpoints"][0]["state"] == {"value": "secret"}
    assert kept["calls"][0]["outcome"] == "secret"


@pytest.mark.parametrize("ttl", [1e9, 1e12, 1e13, 1e300])
def test_a_task_with_a_very_long_ttl_does_not_stop_the_sweep_for_the_others(watched: AgentTasks, ttl: float) -> None:
    try:
        long = submitted(watched, ttl=ttl)
    except InvalidInput:
        long = None
    short = submitted(watched, ttl=100)
    age(watched, short, 101)
    assert [row["id"] for row in given_up(watched)] == [short]
    assert long is None or row_of(watched, long)["status"] == "pending"
