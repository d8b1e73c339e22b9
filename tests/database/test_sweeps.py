"""Sweeps: expired leases, due timers and bells that nobody answered."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, ErrorInfo, ErrorType, metrics
from agent_tasks.store.rows import Row
from agent_tasks.sweeps import orphans
from agent_tasks.sweeps.application import make_beat_app
from agent_tasks.sweeps.sweeper import ROUNDS, Sweeper
from agent_tasks.transitions.acquit import acquit
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.expire import died
from agent_tasks.transitions.release import claims_of, release
from agent_tasks.transitions.retry import retry
from agent_tasks.transitions.ring import SLOWEST_SECONDS, ring
from agent_tasks.transitions.statistics import analyze_grown
from agent_tasks.transitions.wake import wake
from tests.database import (
    all_of,
    claimed,
    claimed_apart,
    commit,
    fall_due,
    lapse,
    park,
    query,
    row_of,
    submitted,
    swept,
    try_claim,
)
from tests.database.filling import SINGLE

BROKEN = ErrorInfo(type=ErrorType.STEP_FAILED, message="m")


def test_an_expired_lease_makes_the_step_pending_again(client: AgentTasks) -> None:
    taken, alive = claimed(client), claimed(client)
    lapse(client, taken.id)
    (row,) = swept(client)
    assert (row["id"], row["status"], row["worker"]) == (taken.id, "pending", None)
    assert row["spent_seconds"] == pytest.approx(10, abs=0.1)
    assert row_of(client, taken.id)["suspect"] == 1
    assert row_of(client, alive.id)["status"] == "running"
    assert swept(client) == []


def test_a_step_whose_process_died_three_times_while_it_was_alone_ends_as_poison(client: AgentTasks) -> None:
    """Twice before it was beside others, or may have been: that counts for nothing."""
    task_id = submitted(client)
    seen: list[tuple[str, int, int, int]] = []
    for _ in range(5):
        claimed(client, task_id)
        lapse(client, task_id)
        seen += [(row["status"], *counts(client, task_id)) for row in swept(client)]
    beside, again = [("pending", 1, 0, 0), ("pending", 2, 0, 0)], [("pending", 2, 1, 1), ("pending", 2, 2, 2)]
    assert seen == [*beside, *again, ("failed", 0, 0, 3)]
    error = ErrorInfo.model_validate(row_of(client, task_id)["error"])
    assert (error.type, error.retryable, error.suggested_action) == (ErrorType.POISON, False, "escalate")
    assert error.details == {"step": "echo", "crashes": 3, "worker": "w"}
    assert [event["type"] for event in all_of(client, task_id)["events"]][-2:] == ["expired", "finished"]


def counts(client: AgentTasks, task_id: UUID) -> tuple[int, int, int]:
    row = row_of(client, task_id)
    return row["suspect"], row["crashes"], row["attempt"]


def test_a_step_that_was_alone_in_a_process_that_died_has_crashed_and_one_that_was_not_has_not(
    client: AgentTasks,
) -> None:
    alone, *others = [submitted(client) for _ in range(3)]
    for task_id in (alone, *others):
        claimed(client, task_id)
        lapse(client, task_id)
    swept(client)
    claimed(client, alone, worker="q1")
    for task_id in others:
        claimed(client, task_id, worker="q2")
    with client.database.connection() as connection:
        assert [(row["id"], row["alone"]) for row in died(connection, "q1")] == [(alone, True)]
        assert {(row["id"], row["alone"]) for row in died(connection, "q2")} == {(one, False) for one in others}
        assert died(connection, "q3") == []
    assert len(swept(client)) == 3
    assert counts(client, alone) == (2, 1, 1)
    assert [counts(client, task_id) for task_id in others] == [(2, 0, 0)] * 2


def test_a_suspect_step_is_claimed_by_the_quarantine_and_by_no_message(client: AgentTasks) -> None:
    task_id = claimed(client).id
    lapse(client, task_id)
    swept(client)
    assert try_claim(client, task_id) is None
    for other in ({"queues": ["other"]}, {"steps": ["echo.other"]}, {"suspect": 2}):
        assert claimed_apart(client, task_id, **other) is None
    taken = claimed_apart(client, task_id)
    assert isinstance(taken, Claim)
    assert (taken.id, taken.run, taken.attempt, taken.repeated) == (task_id, 2, 1, True)
    assert claimed_apart(client, task_id) is None


def test_a_step_whose_worker_lives_after_all_is_acquitted_unless_it_has_run_since(client: AgentTasks) -> None:
    idle, again = claimed(client), claimed(client)
    for taken in (idle, again):
        lapse(client, taken.id)
    swept(client)
    lapse(client, claimed(client, again.id).id)
    swept(client)
    with client.database.connection() as connection:
        assert acquit(connection, [(idle.id, idle.run + 1)]) == 0
        assert acquit(connection, [(idle.id, idle.run), (again.id, again.run), (again.id, again.run + 1)]) == 1
    assert [counts(client, taken.id)[0] for taken in (idle, again)] == [0, 2]
    assert try_claim(client, idle.id) is not None


def test_no_two_processes_take_the_same_suspect_and_the_first_is_taken_first(client: AgentTasks) -> None:
    ids = [claimed(client).id for _ in range(9)]
    for task_id in ids:
        lapse(client, task_id)
        swept(client)
    assert claimed_apart(client, ids[0]).id == ids[0]  # type: ignore[union-attr]
    barrier = threading.Barrier(4)

    def take(n: int) -> list[UUID]:
        barrier.wait(10)
        return [claimed_apart(client, ids[0], worker=f"q{n}").id for _ in range(2)]  # type: ignore[union-attr]

    with ThreadPoolExecutor(4) as threads:
        taken = list(threads.map(take, range(4)))
    assert sorted(one for pair in taken for one in pair) == sorted(ids[1:])


def test_a_committed_step_clears_what_counted_against_it(client: AgentTasks) -> None:
    task_id = submitted(client)
    for _ in range(3):
        claimed(client, task_id)
        lapse(client, task_id)
        swept(client)
    assert counts(client, task_id) == (2, 1, 1)
    taken = claimed(client, task_id)
    with client.database.connection() as connection:
        commit(connection, taken)
    assert counts(client, task_id) == (0, 0, 0)
    again = try_claim(client, task_id)
    assert again is not None
    assert (again.attempt, again.repeated) == (1, False)


def test_a_released_step_has_not_crashed(client: AgentTasks) -> None:
    task_id = submitted(client)
    for n in range(5):
        taken = claimed(client, task_id, worker=f"w{n}")
        with client.database.connection() as connection:
            assert claims_of(connection, [f"w{n}", "other"]) == [(task_id, taken.run)]
            (row,) = release(connection, [(task_id, taken.run)], ring_seconds=60)
        assert row["status"] == "pending"
    assert counts(client, task_id) == (0, 0, 0), "and was not tried"
    assert claimed(client, task_id).repeated


def test_five_sweepers_at_once_move_each_task_once(client: AgentTasks) -> None:
    for _ in range(30):
        lapse(client, claimed(client).id)
    barrier = threading.Barrier(5)

    def sweep(_: int) -> list[Row]:
        barrier.wait(10)
        return [row for _ in range(10) for row in swept(client, limit=4)]

    with ThreadPoolExecutor(5) as threads:
        moved = [row["id"] for rows in threads.map(sweep, range(5)) for row in rows]
    moved += [row["id"] for row in swept(client)]
    assert len(moved) == len(set(moved)) == 30
    assert query(client, "SELECT DISTINCT suspect FROM agent_tasks.tasks") == [{"suspect": 1}]


def test_a_sweep_does_not_wait_for_a_row_that_somebody_holds(client: AgentTasks) -> None:
    busy, free = claimed(client), claimed(client)
    lapse(client, busy.id)
    lapse(client, free.id)
    with client.database.transaction() as other:
        other.execute("SELECT FROM agent_tasks.tasks WHERE id = %s FOR UPDATE", [busy.id])
        assert [row["id"] for row in swept(client)] == [free.id]
    assert [row["id"] for row in swept(client)] == [busy.id]


def test_a_retry_wakes_when_it_is_due_and_not_before(client: AgentTasks) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        row = retry(connection, taken, BROKEN, 3600.0, progress='{"done": 1}')
        assert (row["status"], row["waiting_for"]["kind"], row["waiting_for"]["name"]) == ("waiting", "retry", "echo")
        assert row["progress"] == {"done": 1}
        assert wake(connection, limit=10, ring_seconds=60) == []
        fall_due(client, taken.id)
        (row,) = wake(connection, limit=10, ring_seconds=60)
        assert (row["status"], row["waiting_for"]) == ("pending", None)
        assert wake(connection, limit=10, ring_seconds=60) == []
    again = claimed(client, taken.id)
    assert (again.attempt, again.failures, again.repeated) == (2, 1, True)


def test_what_waits_without_a_time_is_woken_by_no_clock(client: AgentTasks) -> None:
    task_id = submitted(client)
    query(
        client,
        "UPDATE agent_tasks.tasks SET status = 'waiting', waiting_for = '{}', due_at = NULL WHERE id = %s",
        task_id,
    )
    with client.database.connection() as connection:
        assert wake(connection, limit=10, ring_seconds=60) == []
        assert ring(connection, limit=10, ring_seconds=60) == []


def test_a_waiting_task_holds_no_lease_that_could_expire(client: AgentTasks) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        retry(connection, taken, BROKEN, 0.0, progress=None)
    fall_due(client, taken.id)
    assert swept(client) == []


def test_a_bell_that_nobody_answers_is_rung_less_and_less_often(client: AgentTasks) -> None:
    task_id = submitted(client)
    waits: list[float] = []
    sql = "SELECT extract(epoch FROM due_at - clock_timestamp())::float8 AS wait FROM agent_tasks.tasks WHERE id = %s"
    with client.database.connection() as connection:
        assert ring(connection, limit=10, ring_seconds=10) == []
        for _ in range(120):
            fall_due(client, task_id)
            (row,) = ring(connection, limit=10, ring_seconds=10)
            assert row["status"] == "pending"
            waits.append(query(client, sql, task_id)[0]["wait"])
    assert [round(wait) for wait in waits[:6]] == [20, 40, 80, 160, 300, 300]
    assert max(waits) <= SLOWEST_SECONDS
    assert row_of(client, task_id)["rings"] == 100


def test_a_claim_silences_the_bell_and_a_new_step_is_rung_soon(client: AgentTasks) -> None:
    task_id = submitted(client)
    fall_due(client, task_id)
    with client.database.connection() as connection:
        ring(connection, limit=10, ring_seconds=10)
        taken = claimed(client, task_id)
        assert ring(connection, limit=10, ring_seconds=10) == []
        commit(connection, taken, ring_seconds=10)
    assert row_of(client, task_id)["rings"] == 0


def test_sweeps_take_no_more_than_a_batch_and_the_oldest_first(client: AgentTasks) -> None:
    ids = [submitted(client) for _ in range(5)]
    for age, task_id in enumerate(ids):
        query(
            client,
            "UPDATE agent_tasks.tasks SET due_at = now() - make_interval(secs => %s) WHERE id = %s",
            10 + age,
            task_id,
        )
    with client.database.connection() as connection:
        assert {row["id"] for row in ring(connection, limit=2, ring_seconds=60)} == set(ids[3:])


def test_a_tick_runs_the_sweeps_that_have_something_due_and_no_other(client: AgentTasks) -> None:
    sweeper = Sweeper(client)
    assert sweeper.run_due() == {}
    pending = submitted(client)
    assert sweeper.run_due() == {}
    fall_due(client, pending)
    assert sweeper.run_due() == {"bells": 1}
    taken = claimed(client, pending)
    lapse(client, taken.id)
    query(client, "UPDATE agent_tasks.tasks SET due_at = due_at - interval '1 hour'")
    assert sweeper.run_due() == {"leases": 1}
    with client.database.connection() as connection:
        park(connection, claimed(client, pending), "go", timeout=60)
    fall_due(client, pending)
    assert sweeper.run_due() == {"timers": 1}
    client.schedule("echo", {"value": 1}, every=3600)
    query(client, "UPDATE agent_tasks.schedules SET next_at = clock_timestamp()")
    assert sweeper.run_due() == {"schedules": 1}
    assert sweeper.run_due() == {}


def test_a_slow_retention_holds_up_no_other_sweep(client: AgentTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The TTL of orphans begins anew where nobody has looked for them for a while."""
    begun, over = threading.Event(), threading.Event()

    def slow(_: AgentTasks) -> int:
        begun.set()
        assert over.wait(30)
        return 0

    monkeypatch.setitem(ROUNDS["retention"], "retention", slow)
    sweeper = Sweeper(client)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(sweeper.run, "retention")
        assert begun.wait(10)
        assert sweeper.run("retention") == {}, "one at a time"
        assert sweeper.run("orphans") == {"orphans": 0}
        assert sweeper.run("housekeeping") == {"statistics": 0, "workers": 0, "alerts": 0}
        fall_due(client, submitted(client))
        assert sweeper.run_due() == {"bells": 1}
        over.set()


def test_a_sweep_that_breaks_off_is_counted_and_keeps_no_other_from_running(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: AgentTasks) -> int:
        raise ValueError("it is broken")

    def failed() -> float:
        return metrics.SWEEPS_FAILED.labels("retention")._value.get()

    before, ran = failed(), list[str]()
    monkeypatch.setitem(ROUNDS["retention"], "retention", broken)
    monkeypatch.setitem(ROUNDS["retention"], "audit", lambda _: ran.append("audit") or 0)
    Sweeper(client).run("retention")
    assert (failed(), ran) == (before + 1, ["audit"])


def test_each_round_of_sweeps_has_a_tick_and_a_thread_of_its_own(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", client.settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", client.settings.redis_url)
    app = make_beat_app()
    ticks = {entry["task"]: entry["schedule"] for entry in app.conf.beat_schedule.values()}
    assert len(ticks) == len(ROUNDS) == app.conf.worker_concurrency
    assert ticks["beat.orphans"] < orphans.GAP_SECONDS / 2
    assert set(ticks) <= set(app.tasks)


def test_tables_that_have_doubled_are_analyzed_and_plans_from_before_are_made_anew(client: AgentTasks) -> None:
    query(client, "ALTER TABLE agent_tasks.tasks SET (autovacuum_enabled = false)")
    query(client, "TRUNCATE agent_tasks.tasks CASCADE")  # of tests before, it may have pages that are empty
    for _ in range(3):
        submitted(client)
    query(client, "VACUUM ANALYZE agent_tasks.tasks")
    with client.database.connection() as connection:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute("PREPARE kept (uuid) AS SELECT status FROM agent_tasks.tasks WHERE id = $1")

        def plan() -> str:
            rows = connection.execute("EXPLAIN EXECUTE kept (NULL)").fetchall()
            return "\n".join(row["QUERY PLAN"] for row in rows)

        assert "Seq Scan" in plan()
        query(client, SINGLE, 2_000)
        assert "Seq Scan" in plan(), "kept from when the table was small"
        assert "tasks" in analyze_grown(connection)
        assert "Index" in plan()
        assert analyze_grown(connection) == []
        connection.execute("DISCARD ALL")
