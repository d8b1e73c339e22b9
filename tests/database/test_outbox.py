"""What webhooks are told: a row in the outbox, and one for each delivery, in the commit of the event."""

from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest

from agent_tasks import AgentTasks, Identity
from agent_tasks.sweeps.sweeper import Sweeper
from agent_tasks.task.event import EventType
from agent_tasks.transitions.checkpoint import Committed, StepCommit, checkpoint_all
from agent_tasks.transitions.complete import Finish, complete_all
from tests.database import Row, claimed, commit, emit, fall_due, lapse, park, parked, query, row_of, submitted, swept
from tests.database.children import broken, end, out_of_time, run_child, shortened, spawn, undo
from tests.database.webhooks import called_back, deliveries, endpoint

ANA = Identity(subject="ana", tenant="acme")
BOB = Identity(subject="bob", tenant="acme")
EVE = Identity(subject="eve", tenant="other")
CALLED = "https://A.example:8443/hook?x=1"


def told(client: AgentTasks, task_id: UUID | None = None) -> list[Row]:
    sql = "SELECT * FROM agent_tasks.outbox WHERE coalesce(task_id = %s, true) ORDER BY id"
    return query(client, sql, task_id)


def types_told(client: AgentTasks, task_id: UUID | None = None) -> list[str]:
    return [row["type"] for row in told(client, task_id)]


def _complete(client: AgentTasks) -> UUID:
    task_id = submitted(client)
    run_child(client, task_id)
    return task_id


def _fail(client: AgentTasks) -> UUID:
    task_id = submitted(client)
    run_child(client, task_id, broken)
    return task_id


def _partial(client: AgentTasks) -> UUID:
    task_id = submitted(client)
    run_child(client, task_id, shortened)
    return task_id


def _time_out(client: AgentTasks) -> UUID:
    task_id = submitted(client)
    run_child(client, task_id, out_of_time)
    return task_id


def _cancel(client: AgentTasks) -> UUID:
    task_id = submitted(client)
    client.get(task_id).cancel()
    return task_id


def _expire(client: AgentTasks) -> UUID:
    taken = claimed(client)
    query(client, "UPDATE agent_tasks.tasks SET crashes = 2, suspect = 2 WHERE id = %s", taken.id)
    lapse(client, taken.id)
    swept(client)
    return taken.id


def _orphan(client: AgentTasks) -> UUID:
    Sweeper(client).run("orphans")
    query(client, "UPDATE agent_tasks.watches SET since = now() - interval '1 d', last_at = now()")
    task_id = submitted(client)
    query(client, "UPDATE agent_tasks.tasks SET pending_since = now() - interval '9 d' WHERE id = %s", task_id)
    Sweeper(client).run("orphans")
    return task_id


def _undo(client: AgentTasks) -> UUID:
    taken = claimed(client)
    with client.database.connection() as connection:
        commit(connection, taken, undoable=True)
    client.get(taken.id).cancel()
    assert types_told(client, taken.id) == ["task.submitted"], "it has not ended before it is undone"
    end(client, claimed(client, taken.id), undo)
    return taken.id


def _emit(client: AgentTasks) -> UUID:
    taken = claimed(client)
    with client.database.connection() as connection:
        emit(connection, taken)
    return taken.id


def _await_signal(client: AgentTasks) -> UUID:
    taken = claimed(client)
    with client.database.connection() as connection:
        park(connection, taken, "go")
    client.get(taken.id).signal("go", 1)
    return taken.id


def _await_signal_that_is_there(client: AgentTasks) -> UUID:
    taken = claimed(client)
    client.get(taken.id).signal("go", 1)
    with client.database.connection() as connection:
        park(connection, taken, "go")
    return taken.id


def _sleep(client: AgentTasks) -> UUID:
    taken = claimed(client)
    with client.database.connection() as connection:
        parked(connection, taken)
    fall_due(client, taken.id)
    Sweeper(client).run_due()
    return taken.id


def _join(client: AgentTasks) -> UUID:
    parent = claimed(client)
    for child in spawn(client, parent):
        run_child(client, child)
        assert types_told(client, child) == ["task.submitted", "task.completed"]
    return parent.id


def _fail_with_a_child(client: AgentTasks) -> UUID:
    parent = claimed(client)
    first, second = spawn(client, parent, on_child_failure="fail")
    run_child(client, first, broken)
    assert types_told(client, second) == ["task.submitted", "task.cancelled"]
    return parent.id


def _resume(client: AgentTasks) -> UUID:
    return client.get(_fail(client)).resume().id


def _resume_a_wait(client: AgentTasks) -> UUID:
    taken = claimed(client)
    with client.database.connection() as connection:
        park(connection, taken, "go")
    task = client.get(taken.id)
    task.cancel()
    return task.resume().id


WAYS: dict[str, tuple[Callable[[AgentTasks], UUID], list[str]]] = {
    "submit": (submitted, []),
    "resume": (_resume, []),
    "resume of a wait": (_resume_a_wait, ["task.waiting"]),
    "a wait for a signal": (_await_signal, ["task.waiting"]),
    "a wait for a signal that is there": (_await_signal_that_is_there, ["task.waiting"]),
    "a sleep": (_sleep, ["task.waiting"]),
    "a wait for children": (_join, []),
    "complete": (_complete, ["task.completed"]),
    "fail": (_fail, ["task.failed"]),
    "partial": (_partial, ["task.partial"]),
    "a budget of time that is over": (_time_out, ["task.timeout"]),
    "cancel": (_cancel, ["task.cancelled"]),
    "poison": (_expire, ["task.failed"]),
    "an orphan": (_orphan, ["task.failed"]),
    "an undo": (_undo, ["task.cancelled"]),
    "a child that fails its parent": (_fail_with_a_child, ["task.failed"]),
    "emit": (_emit, ["found"]),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_into_the_history_is_told_once(client: AgentTasks, way: str) -> None:
    everything = endpoint(client)
    go, types = WAYS[way]
    task_id = go(client)
    rows = told(client, task_id)
    assert [row["type"] for row in rows] == ["task.submitted", *types]
    task = row_of(client, task_id)
    assert all((row["agent"], row["tenant"], row["subject"]) == ("echo", "", None) for row in rows)
    if task["finished_at"]:
        assert (rows[-1]["status"], rows[-1]["version"]) == (task["status"], task["version"])
    found = [row for row in deliveries(client, everything) if row["task_id"] == task_id]
    assert [(row["outbox_id"], row["seq"], row["type"]) for row in found] == [
        (row["id"], row["seq"], row["type"]) for row in rows
    ]
    assert all((row["lane"], row["url"], row["status"]) == (f"webhook:{everything}", None, "pending") for row in found)
    at = query(client, "SELECT seq, at FROM agent_tasks.events WHERE task_id = %s", task_id)
    assert {row["seq"]: row["at"] for row in rows}.items() <= {row["seq"]: row["at"] for row in at}.items()


def test_a_commit_of_several_tasks_tells_of_each(client: AgentTasks) -> None:
    everything = endpoint(client)
    first, second, third = (claimed(client, task.id) for task in client.submit_many("echo", [{"value": 1}] * 3))
    with client.database.connection() as connection:
        complete_all(connection, [Finish(taken, '"done"', 0) for taken in (first, second)])
        checkpoint_all(connection, [StepCommit(third, Committed("echo", "{}", 0), in_place=True)], ring_seconds=60)
    for taken in (first, second):
        assert types_told(client, taken.id) == ["task.submitted", "task.completed"]
    assert types_told(client, third.id) == ["task.submitted"]
    assert len(deliveries(client, everything)) == 5


def test_what_is_rolled_back_is_told_to_nobody(client: AgentTasks) -> None:
    everything = endpoint(client)
    with psycopg.connect(client.settings.database_url) as mine:
        client.submit("echo", {"value": 1}, connection=mine)
        mine.rollback()
        kept = client.submit("echo", {"value": 1}, connection=mine)
        assert told(client) == []
        mine.commit()
    assert [row["task_id"] for row in told(client)] == [kept.id]
    assert [row["task_id"] for row in deliveries(client, everything)] == [kept.id]


def test_without_an_endpoint_or_a_callback_nothing_is_written(client: AgentTasks) -> None:
    endpoint(client, "other")
    client.submit("echo", {"value": 1}, identity=ANA).cancel()
    assert told(client) == query(client, "SELECT FROM agent_tasks.deliveries") == []


def test_an_endpoint_is_told_of_its_tenants_subjects_types_and_agents_alone(client: AgentTasks) -> None:
    tenants, others = endpoint(client, "acme"), endpoint(client, "other")
    anas, bobs = endpoint(client, "acme", subject="ana"), endpoint(client, "acme", subject="bob")
    ends = endpoint(client, "acme", types=["task.cancelled", "task.failed"])
    this, that = endpoint(client, "acme", agents=["echo"]), endpoint(client, "acme", agents=["another"])
    off = endpoint(client, "acme", disabled_at="2026-01-01", disabled_why="asked")
    unordered = endpoint(client, "acme", ordered=False)
    task = client.submit("echo", {"value": 1}, identity=ANA)
    task.cancel()
    both = ["task.submitted", "task.cancelled"]
    expected = {
        tenants: both, anas: both, this: both, unordered: both, ends: both[1:],
        others: [], bobs: [], that: [], off: [],
    }  # fmt: skip
    assert {each: [row["type"] for row in deliveries(client, each)] for each in expected} == expected
    assert types_told(client) == both
    assert {row["ordered"] for row in deliveries(client, unordered)} == {False}
    assert {(row["tenant"], row["subject"]) for row in deliveries(client, tenants)} == {("acme", "ana")}


def test_a_task_of_nobody_is_told_to_endpoints_of_trusted_programs_alone(client: AgentTasks) -> None:
    ours = client.webhooks.put("ours", "https://a.example")
    theirs = client.webhooks.put("theirs", "https://a.example", identity=Identity(subject="ana", scopes=("tasks:all",)))
    client.submit("echo", {"value": 1})
    bobs = client.submit("echo", {"value": 1}, identity=Identity(subject="bob"))
    assert len(deliveries(client, ours.id)) == 2
    assert [row["task_id"] for row in deliveries(client, theirs.id)] == [bobs.id]


def test_what_nobody_wants_is_in_the_outbox_all_the_same_for_a_replay(client: AgentTasks) -> None:
    endpoint(client, disabled_at="2026-01-01", disabled_why="asked")
    submitted(client)
    assert types_told(client) == ["task.submitted"]
    assert query(client, "SELECT FROM agent_tasks.deliveries") == []


def test_a_callback_is_told_of_waits_and_of_the_end(client: AgentTasks) -> None:
    taken = claimed(client)
    called_back(client, taken.id)
    with client.database.connection() as connection:
        emit(connection, taken)
        park(connection, taken, "go")
    client.get(taken.id).cancel()
    assert types_told(client) == ["found", "task.waiting", "task.cancelled"]
    found = deliveries(client)
    assert [(row["type"], row["lane"], row["url"], row["ordered"]) for row in found] == [
        (type_, "origin:https://a.example:8443/", CALLED, True) for type_ in ("task.waiting", "task.cancelled")
    ]


def test_callbacks_to_one_origin_share_a_lane_within_a_tenant_and_not_between_tenants(client: AgentTasks) -> None:
    for identity, path in ((ANA, "/one"), (BOB, "/two"), (EVE, "/one")):
        task = client.submit("echo", {"value": 1}, identity=identity)
        called_back(client, task.id, f"https://A.example:8443{path}")
        task.cancel()
    mine, yours = "origin:https://a.example:8443/acme", "origin:https://a.example:8443/other"
    assert [row["lane"] for row in deliveries(client)] == [mine, mine, yours]


@pytest.mark.parametrize("url", ["", "no URL", "https://" + "a" * 100_000, "https://ä.example\u2028/"])
def test_a_callback_of_0_1_0_that_is_no_url_stops_no_task(client: AgentTasks, url: str) -> None:
    called_back(client, submitted(client), url)
    for row in query(client, "SELECT id FROM agent_tasks.tasks"):
        client.get(row["id"]).cancel()
    assert [row["url"] for row in deliveries(client)] == [url]


def test_of_a_sensitive_task_the_outbox_keeps_no_data(client: AgentTasks) -> None:
    endpoint(client)
    taken = claimed(client)
    with client.database.connection() as connection:
        emit(connection, taken)
        query(client, "UPDATE agent_tasks.tasks SET sensitive = true WHERE id = %s", taken.id)
        emit(connection, taken)
    assert [row["data"] for row in told(client) if row["type"] == "found"] == [1, None]


def test_the_outbox_says_in_which_transaction_it_was_written(client: AgentTasks) -> None:
    endpoint(client)
    with psycopg.connect(client.settings.database_url) as mine:
        with mine.transaction(), mine.transaction():  # a savepoint has an id of its own
            client.submit("echo", {"value": 1}, connection=mine)
        (now,) = mine.execute("SELECT pg_current_xact_id()::text").fetchone() or ("",)
        mine.commit()
    with psycopg.connect(client.settings.database_url) as mine:
        client.submit("echo", {"value": 1}, connection=mine)
        (own,) = mine.execute("SELECT pg_current_xact_id()::text").fetchone() or ("",)
        mine.commit()
    first, second = (row["xid"] for row in query(client, "SELECT xid::text FROM agent_tasks.outbox ORDER BY id"))
    assert int(first) < int(now)
    assert second == own


def test_every_event_of_the_system_is_told_or_known_not_to_be(client: AgentTasks) -> None:
    sql = "SELECT pg_get_triggerdef(oid) AS said FROM pg_trigger WHERE tgname = 'events_told'"
    (row,) = query(client, sql)
    silent = {str(type_) for type_ in EventType if f"'{type_}'::text" in row["said"]}
    assert set(EventType) - silent == {"submitted", "resumed", "finished"}
    assert "'waiting'::text" in row["said"]
