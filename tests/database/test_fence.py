"""The fence: a run that lost its step changes nothing, whatever it tries."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
import uuid_utils.compat as uuid_utils

from agent_tasks import AgentTasks, Budget, BudgetExhausted, ErrorInfo, ErrorType
from agent_tasks.errors import LeaseLost
from agent_tasks.store.database import Connection
from agent_tasks.transitions import spend
from agent_tasks.transitions.cancel import cancel
from agent_tasks.transitions.checkpoint import Committed
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.complete import Finish
from agent_tasks.transitions.fail import fail
from agent_tasks.transitions.fan_out import fan_out
from agent_tasks.transitions.heartbeat import WorkerRecord, heartbeat, sign_on
from agent_tasks.transitions.release import release
from agent_tasks.transitions.retry import retry
from agent_tasks.transitions.submit import NewTask
from agent_tasks.transitions.wait import sleep
from tests.database import all_of, claimed, commit, lapse, park, query, row_of, single, submitted
from tests.database import swept as sweep
from tests.database.single import complete

Write = Callable[[Connection, Claim], Any]
BROKEN = ErrorInfo(type=ErrorType.STEP_FAILED, message="m")
OVER = ErrorInfo(type=ErrorType.BUDGET_EXHAUSTED, message="m", details={"resource": "seconds"})

COMMITS: dict[str, Write] = {
    "checkpoint": commit,
    "checkpoint in place": lambda c, t: commit(c, t, in_place=True),
    "wait": lambda c, t: park(c, t, "approval"),
    "sleep": lambda c, t: sleep(c, t, Committed("echo", "{}", 0), seconds=5, until=None),
    "fan out": lambda c, t: spread(c, t),
    "complete": lambda c, t: complete(c, Finish(t, "1", 0)),
    "fail": lambda c, t: fail(c, t, BROKEN, traceback="t"),
    "fail out of budget": lambda c, t: fail(c, t, OVER),
    "retry": lambda c, t: retry(c, t, BROKEN, 5.0, progress=None),
}
REPORTS: dict[str, Write] = {
    "charge": lambda c, t: spend.charge(c, t, tokens=5, usd=0.1),
    "partial": lambda c, t: spend.keep_partial(c, t, "1"),
    "progress": lambda c, t: spend.show_progress(c, t, '{"done": 1}'),
    "emit": lambda c, t: spend.emit(c, t, "found", "1"),
    "begin call": lambda c, t: single.begin_call(c, t, 0, "pay", key="k", at_most_once=False),
    "end call": lambda c, t: single.end_call(c, t, 0, status="completed", outcome="1"),
}


def spread(connection: Connection, taken: Claim) -> Any:
    """A FanOut of two children."""
    children = [NewTask(uuid_utils.uuid7(), "echo", "echo", "{}", "agents", 900.0, Budget(tokens=5)) for _ in range(2)]
    with connection.transaction():
        return fan_out(
            connection, taken, Committed("echo", "{}", 0), children,
            on_child_failure="collect", reserve_seconds=0, clamped={}, ring_seconds=60,
        )  # fmt: skip


WRITES = {**COMMITS, **REPORTS}


def taken_over(client: AgentTasks, stale: Claim) -> None:
    lapse(client, stale.id)
    claimed(client, stale.id, worker="other")


def swept(client: AgentTasks, stale: Claim) -> None:
    lapse(client, stale.id)
    sweep(client)


def committed_before(client: AgentTasks, stale: Claim) -> None:
    """Its own commit came through, only the reply was lost."""
    with client.database.connection() as connection:
        COMMITS["checkpoint in place"](connection, stale)


def cancelled(client: AgentTasks, stale: Claim) -> None:
    with client.database.connection() as connection:
        cancel(connection, stale.id, ErrorInfo(type=ErrorType.CANCELLED, message="m"))


def released(client: AgentTasks, stale: Claim) -> None:
    with client.database.connection() as connection:
        assert release(connection, [(stale.id, stale.run)], ring_seconds=1)


LOSSES = [taken_over, swept, committed_before, cancelled, released]


@pytest.mark.parametrize("lost", LOSSES, ids=lambda lost: lost.__name__)
def test_a_run_that_lost_its_step_writes_nothing(client: AgentTasks, lost: Callable[[AgentTasks, Claim], None]) -> None:
    for name, write in WRITES.items():
        stale = claimed(client)
        with client.database.connection() as connection:
            single.begin_call(connection, stale, 0, "pay", key="k", at_most_once=False)
        lost(client, stale)
        before = all_of(client, stale.id)
        with client.database.connection() as connection, pytest.raises(LeaseLost):
            write(connection, stale)
        assert all_of(client, stale.id) == before, name
    assert query(client, "SELECT FROM agent_tasks.tasks WHERE parent_id IS NOT NULL") == []


@pytest.mark.parametrize("name", COMMITS)
def test_a_commit_that_is_repeated_commits_once(client: AgentTasks, name: str) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        COMMITS[name](connection, taken)
        before = all_of(client, taken.id)
        with pytest.raises(LeaseLost):
            COMMITS[name](connection, taken)
    assert all_of(client, taken.id) == before
    assert len(query(client, "SELECT FROM agent_tasks.tasks WHERE parent_id = %s", taken.id)) == (
        2 if name == "fan out" else 0
    )


@pytest.mark.parametrize("name", WRITES)
def test_every_write_of_the_owner_goes_through_and_is_seen_as_a_new_version(client: AgentTasks, name: str) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        if name == "end call":
            single.begin_call(connection, taken, 0, "pay", key="k", at_most_once=False)
        before = client.find_row(taken.id)
        WRITES[name](connection, taken)
    after = client.find_row(taken.id)
    assert (after["version"] > before["version"]) == (after != before)


def test_a_stale_release_takes_nothing_from_the_new_owner(client: AgentTasks) -> None:
    stale = claimed(client)
    taken_over(client, stale)
    before = all_of(client, stale.id)
    with client.database.connection() as connection:
        assert release(connection, [(stale.id, stale.run)], ring_seconds=1) == []
    assert all_of(client, stale.id) == before


def test_a_heartbeat_keeps_what_is_held_and_names_what_was_lost(client: AgentTasks) -> None:
    kept, lost, ended = claimed(client), claimed(client), claimed(client)
    taken_over(client, lost)
    cancelled(client, ended)
    due = row_of(client, lost.id)["due_at"]
    with client.database.connection() as connection:
        claims = [(taken.id, taken.run) for taken in (kept, lost, ended)]
        assert heartbeat(connection, claims, lease_seconds=500, seconds=60) == {kept.id: True}
    assert row_of(client, lost.id)["due_at"] == due
    sql = "SELECT (due_at - clock_timestamp()) > interval '490 s' AS kept FROM agent_tasks.tasks WHERE id = %s"
    assert query(client, sql, kept.id)[0]["kept"]


def test_a_heartbeat_passes_over_a_locked_row_and_keeps_all_others(client: AgentTasks) -> None:
    locked, free = claimed(client), claimed(client)
    claims = [(taken.id, taken.run) for taken in (locked, free)]
    sql = "SELECT (due_at - clock_timestamp()) > interval '490 s' AS kept FROM agent_tasks.tasks WHERE id = %s"
    with client.database.connection() as connection:
        with client.database.transaction() as rival:
            rival.execute("SELECT FROM agent_tasks.tasks WHERE id = %s FOR UPDATE", [locked.id])
            assert heartbeat(connection, claims, lease_seconds=500, seconds=60) == {locked.id: False, free.id: True}
        assert [query(client, sql, taken.id)[0]["kept"] for taken in (locked, free)] == [False, True]
        assert heartbeat(connection, claims[:1], lease_seconds=500, seconds=60) == {locked.id: True}


def test_a_heartbeat_does_not_wait_for_tables_that_are_locked(client: AgentTasks) -> None:
    with client.database.transaction() as rival, client.database.connection() as connection:
        rival.execute("LOCK TABLE agent_tasks.tasks, agent_tasks.workers")
        with pytest.raises(psycopg.errors.QueryCanceled):
            heartbeat(connection, [], lease_seconds=500, seconds=0.1)
        with pytest.raises(psycopg.errors.QueryCanceled):
            sign_on(connection, WorkerRecord("w", "host", 1, (), ()), seconds=0.1)


@pytest.mark.parametrize("name", ["checkpoint", "checkpoint in place", "wait", "sleep", "fan out", "complete"])
def test_a_step_that_overran_its_seconds_cannot_commit_but_can_fail(client: AgentTasks, name: str) -> None:
    taken = claimed(client, submitted(client, budget=Budget(seconds=5)))
    query(client, "UPDATE agent_tasks.tasks SET claimed_at = claimed_at - interval '6 s' WHERE id = %s", taken.id)
    before = all_of(client, taken.id)
    with client.database.connection() as connection:
        with pytest.raises(BudgetExhausted) as caught:
            COMMITS[name](connection, taken)
        assert caught.value.details["resource"] == "seconds"
        assert all_of(client, taken.id) == before
        assert fail(connection, taken, caught.value.info)["status"] == "timeout"


@pytest.mark.parametrize(
    ("resource", "partial", "status"),
    [
        ("seconds", None, "timeout"),
        ("seconds", '"half"', "partial"),
        ("tokens", None, "failed"),
        ("tokens", '"half"', "partial"),
    ],
)
def test_running_out_of_budget_ends_as_partial_where_something_was_kept(
    client: AgentTasks, resource: str, partial: str | None, status: str
) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        if partial:
            spend.keep_partial(connection, taken, partial)
        row = fail(connection, taken, BudgetExhausted.of(resource, 5, 6).info)
    assert (row["status"], row["result"]) == (status, "half" if partial else None)
    assert row["error"]["details"]["resource"] == resource


def test_the_ledger_begins_no_call_beyond_the_budget_of_calls(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=Budget(calls=2)))
    with client.database.connection() as connection:
        begun = [
            single.begin_call(connection, taken, n, "pay", key=str(n), at_most_once=False) for n in range(4)
        ]  # fmt: skip
    assert begun == [1, 2, None, None]
    assert row_of(client, taken.id)["spent_calls"] == len(all_of(client, taken.id)["calls"]) == 2
