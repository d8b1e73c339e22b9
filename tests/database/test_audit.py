"""The audit: who wrote what, through which door and from where, kept with what was written."""

import asyncio
import getpass
import json
import socket
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from opentelemetry import trace
from typer.testing import CliRunner

from agent_tasks import AgentTasks, AuditEntry, Identity, InvalidInput, InvalidState, TaskNotFound
from agent_tasks.aio import AsyncAgentTasks
from agent_tasks.cli.application import app
from agent_tasks.store.queries.audit import NEWEST, entries
from agent_tasks.sweeps import audit as sweep
from agent_tasks.sweeps import schedules
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.task.origin import Origin, through
from agent_tasks.transitions import audit
from tests.database import claimed, park, query, submitted
from tests.database.children import run_child, spawn

ANA = Identity(subject="ana", tenant="acme")
BOB = Identity(subject="bob", tenant="acme")
EVE = Identity(subject="eve", tenant="other")
HERE = f"{getpass.getuser()}@{socket.gethostname()}"


def last(client: AgentTasks) -> AuditEntry:
    return client.audit(limit=1)[0]


def told(client: AgentTasks) -> list[tuple[str, str | None, UUID | None, str | None, dict[str, Any] | None]]:
    """All entries, the oldest first."""
    return [(e.operation, e.subject, e.task_id, e.target, e.data) for e in reversed(client.audit())]


def test_each_write_is_told_with_who_and_from_where(client: AgentTasks) -> None:
    task = client.submit("echo", {"value": 1}, identity=ANA, queue="q")
    assert told(client) == [("submit", "ana", task.id, None, {"agent": "echo", "queue": "q"})]
    entry = last(client)
    assert (entry.tenant, entry.door, entry.origin, entry.answer) == ("acme", "python", HERE, "accepted")
    taken = claimed(client, task.id)
    with client.database.connection() as connection:
        park(connection, taken, "go")
    mine = client.get(task.id, identity=ANA)
    mine.signal("go", {"secret": 1}, signal_id="s1")
    mine.cancel("enough")
    again = mine.resume()
    run_child(client, again.id)
    again.acknowledge()
    client.schedule("echo", {"value": 1}, name="nightly", every=60, identity=ANA)
    assert client.unschedule("nightly", identity=ANA)
    step = again.stored().step_number - 1
    assert told(client)[1:] == [
        ("signal", "ana", task.id, "go", {"signal_id": "s1"}),
        ("cancel", "ana", task.id, None, {"reason": "enough"}),
        ("resume", "ana", task.id, None, {"as": str(again.id), "from_step": step}),
        ("acknowledge", "ana", again.id, None, None),
        ("schedule", "ana", None, "nightly", {"agent": "echo"}),
        ("unschedule", "ana", None, "nightly", None),
    ]


def test_tasks_of_several_callers_that_are_accepted_at_once_are_each_their_own(client: AgentTasks) -> None:
    target = client.find_target("echo")
    asked = []
    for who, key in ((ANA, "k1"), (BOB, "k2"), (EVE, "k3")):
        task = client.new_task(target, {"value": who.subject}, None, identity=who)
        with through(Origin(door="http", place="192.0.2.7", identity=who, key_id=key)):
            asked.append((task, audit.entry("submit", who, task_id=task.id)))
    made = client.accept_all([task for task, _ in asked], [entry for _, entry in asked])
    assert [each.id for each in made] == [task.id for task, _ in asked]
    assert [each.snapshot().identity for each in made] == [ANA, BOB, EVE]
    found = {e.task_id: (e.tenant, e.subject, e.key_id, e.door, e.origin) for e in client.audit()}
    assert found == {
        task.id: (who.tenant, who.subject, key, "http", "192.0.2.7")
        for (task, _), who, key in zip(asked, (ANA, BOB, EVE), ("k1", "k2", "k3"), strict=True)
    }
    assert told(client)[0][4] == {"agent": "echo", "queue": client.settings.queue}


def test_keys_are_told_of_when_they_are_made_and_when_they_end(client: AgentTasks) -> None:
    made = client.create_key(tenant="acme", subject="ana", scopes=["tasks:read"])
    assert client.revoke_key(made.id)
    assert client.revoke_key(made.id)
    assert not client.revoke_key("none")
    assert told(client) == [
        ("create_key", None, None, made.id, {"tenant": "acme", "subject": "ana", "scopes": ["tasks:read"]}),
        ("revoke_key", None, None, made.id, None),
    ]


def test_a_trusted_program_is_nobody(client: AgentTasks) -> None:
    task = client.submit("echo", {"value": 1})
    client.get(task.id).cancel()
    assert [(e.tenant, e.subject) for e in client.audit()] == [("", None), ("", None)]


def test_many_tasks_are_many_rows(client: AgentTasks) -> None:
    tasks = client.submit_many("echo", [{"value": n} for n in range(5)], identity=ANA)
    assert {e.task_id for e in client.audit(operation="submit", subject="ana")} == {task.id for task in tasks}
    assert len(client.audit()) == 5


def test_what_changes_nothing_is_not_told(client: AgentTasks) -> None:
    task = client.submit("echo", {"value": 1}, idempotency_key="k")
    client.submit("echo", {"value": 1}, idempotency_key="k")
    handle = client.get(task.id)
    handle.signal("go", signal_id="1")
    handle.signal("go", signal_id="1")
    handle.cancel()
    handle.cancel()
    handle.acknowledge()
    handle.acknowledge()
    client.unschedule("none")
    with pytest.raises(InvalidState):
        handle.signal("late")
    assert [each[0] for each in told(client)] == ["submit", "signal", "cancel", "acknowledge"]


def test_children_and_firings_are_no_callers_writes(client: AgentTasks) -> None:
    client.schedule("echo", {"value": 1}, every=60)
    query(client, "UPDATE agent_tasks.schedules SET next_at = clock_timestamp() - interval '1 s'")
    assert schedules.run_once(client) == 1
    root = claimed(client, submitted(client))
    spawn(client, root, 3)
    assert [each[0] for each in told(client)] == ["schedule", "submit"]


def test_a_submit_is_one_statement_with_its_entry_and_is_undone_with_it(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.submit("echo", {"value": 1})
    statements: list[Any] = []
    execute = psycopg.Connection.execute
    with monkeypatch.context() as patch:
        patch.setattr(
            psycopg.Connection, "execute", lambda self, q, *a, **o: statements.append(q) or execute(self, q, *a, **o)
        )
        client.submit("echo", {"value": 1}, identity=ANA)
    ours = [statement for statement in statements if "pg_settings" not in statement]  # a connection may be new
    assert len(ours) == 1
    before = told(client)
    with psycopg.connect(client.settings.database_url) as mine:
        gone = client.submit("echo", {"value": 2}, connection=mine)
        assert mine.execute("SELECT count(*) FROM agent_tasks.audit WHERE task_id = %s", [gone.id]).fetchone() == (1,)
        mine.rollback()
    assert told(client) == before
    with psycopg.connect(client.settings.database_url) as mine:
        kept = client.submit("echo", {"value": 2}, connection=mine)
    assert last(client).task_id == kept.id


def test_the_reason_for_ending_a_sensitive_task_is_not_kept(client: AgentTasks) -> None:
    task = client.submit("echo", {"value": 1})
    query(client, "UPDATE agent_tasks.tasks SET sensitive = true WHERE id = %s", task.id)
    client.get(task.id).cancel("because of Ana's illness")
    assert (last(client).operation, last(client).data) == ("cancel", None)
    long = client.submit("echo", {"value": 1})
    client.get(long.id).cancel("x" * 4000)
    assert last(client).data == {"reason": "x" * 200}


def test_a_door_says_who_came_and_from_where(client: AgentTasks) -> None:
    with through(Origin(door="http", place="192.0.2.7", identity=BOB, key_id="k7")):
        task = client.submit("echo", {"value": 1}, identity=ANA)
    entry = last(client)
    assert (entry.subject, entry.door, entry.origin, entry.key_id) == ("bob", "http", "192.0.2.7", "k7")
    task.cancel()
    assert (last(client).subject, last(client).door) == (None, "python")


def test_the_door_and_the_span_of_an_async_caller_are_those_of_the_call(client: AgentTasks) -> None:
    async def two() -> tuple[str | None, ...]:
        tasks = AsyncAgentTasks(client)
        span = trace.NonRecordingSpan(trace.SpanContext(7, 9, is_remote=False, trace_flags=trace.TraceFlags(1)))
        with through(Origin(door="http", place="192.0.2.7")), trace.use_span(span):
            first = await tasks.submit("echo", {"value": 1})
        second = await tasks.submit("echo", {"value": 1})
        return (await first.stored()).traceparent, (await second.stored()).traceparent

    inside, outside = asyncio.run(two())
    assert [e.door for e in client.audit()] == ["python", "http"]
    assert inside is not None
    assert outside is not None
    assert int(inside.split("-")[1], 16) == 7 != int(outside.split("-")[1], 16)


def test_a_refused_request_is_told_by_the_door_that_refused_it(client: AgentTasks) -> None:
    with through(Origin(door="http", place="192.0.2.7")), client.database.connection() as connection:
        audit.refused(connection, "signal", EVE, "permission_denied", target="go\x00" + "o" * 999)
    entry = last(client)
    assert (entry.operation, entry.subject, entry.answer) == ("signal", "eve", "permission_denied")
    assert entry.target is not None
    assert entry.target.startswith("go\\0ooo")
    assert len(entry.target) == 200
    with pytest.raises(InvalidInput):
        client.submit("echo", {"wrong": 1}, identity=ANA)
    assert len(client.audit()) == 1


def test_who_reads_it_sees_what_is_theirs(client: AgentTasks) -> None:
    for identity in (ANA, BOB, EVE, None):
        client.submit("echo", {"value": 1}, identity=identity)

    def seen(who: str, of: str, *scopes: str, **asked: Any) -> list[str | None]:
        reader = Identity(subject=who, tenant=of, scopes=scopes)
        return [e.subject for e in client.audit(identity=reader, **asked)]

    assert seen("ana", "acme") == ["ana"]
    assert seen("ana", "acme", "tasks:all") == ["bob", "ana"]
    assert seen("ana", "acme", "tasks:all", subject="bob") == ["bob"]
    assert seen("ana", "acme", "tasks:all", tenant="other") == []
    assert seen("ana", "acme", subject="bob") == []
    assert seen("root", "ops", "admin") == [None, "eve", "bob", "ana"]
    assert seen("root", "ops", "tasks:all") == []


def test_it_is_read_page_by_page_and_by_what_is_asked(client: AgentTasks) -> None:
    tasks = client.submit_many("echo", [{"value": n} for n in range(7)], identity=ANA)
    tasks[3].cancel()
    pages: list[list[AuditEntry]] = []
    while page := client.audit(limit=3, after=pages[-1][-1].id if pages else None):
        pages.append(page)
    ids = [entry.id for page in pages for entry in page]
    assert [len(page) for page in pages] == [3, 3, 2]
    assert ids == sorted(set(ids), reverse=True)
    assert [e.operation for e in client.audit(task_id=str(tasks[3].id))] == ["cancel", "submit"]
    assert len(client.audit(tenant="acme")) == 7
    assert len(client.audit(tenant="")) == 1
    assert client.audit(door="http") == client.audit(operation="resume") == []
    with client.database.connection() as connection:
        rows = entries(connection, after=NEWEST, limit=2, looked_at=3, operation="submit")
        assert [row["task_id"] for row in rows] == [tasks[6].id, tasks[5].id]
        rows = entries(connection, after=NEWEST, limit=9, looked_at=3, task_id=tasks[0].id, operation="submit")
        assert [row["task_id"] for row in rows] == [tasks[0].id]
        assert len(entries(connection, after=NEWEST, limit=9, looked_at=3, operation="submit")) == 7


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"limit": 0}, InvalidInput), ({"limit": 1001}, InvalidInput), ({"after": "7"}, InvalidInput),
        ({"after": 2**63}, InvalidInput), ({"subject": ""}, InvalidInput), ({"door": "a\x00"}, InvalidInput),
        ({"identity": "ana"}, InvalidInput), ({"task_id": "7"}, TaskNotFound),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(client: AgentTasks, asked: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        client.audit(**asked)


def test_it_outlives_its_task_and_goes_in_batches_when_it_is_old(client: AgentTasks) -> None:
    task = client.submit("echo", {"value": 1})
    query(client, "DELETE FROM agent_tasks.tasks")
    assert last(client).task_id == task.id
    assert sweep.run_once(client) == 0
    old = timedelta(seconds=client.settings.audit_seconds + 60)
    sql = (
        "INSERT INTO agent_tasks.audit (at, door, origin, operation, answer) "
        "SELECT now() - %s, 'python', 'x@y', 'submit', 'accepted' FROM generate_series(1, %s)"
    )
    query(client, sql, old, BATCH + 5)
    assert [sweep.run_once(client) for _ in range(3)] == [BATCH, 5, 0]
    assert [entry.task_id for entry in client.audit()] == [task.id]


def test_the_command_line_is_a_door_and_shows_what_came_through(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", client.settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", client.settings.redis_url)
    task = client.submit("echo", {"value": 1}, identity=ANA)

    def run(*command: str) -> list[str]:
        found = CliRunner().invoke(app, command)
        assert found.exit_code == 0, found.output
        return found.stdout.splitlines()

    run("cancel", str(task.id), "--as", "ana", "--tenant", "acme", "--reason", "enough")
    entry = last(client)
    assert (entry.door, entry.origin, entry.subject, entry.tenant) == ("cli", HERE, "ana", "acme")
    (line,) = run("audit", "--door", "cli")
    assert all(part in line for part in ("cancel", "cli", "ana of acme", HERE, str(task.id), "reason=enough"))
    objects = [json.loads(line) for line in run("audit", "--task", str(task.id)[:13], "--json")]
    assert [(each["operation"], each["door"]) for each in objects] == [("cancel", "cli"), ("submit", "python")]
    assert run("audit", "--task", str(uuid4()), "--json") == []
    assert run("audit", "--operation", "resume") == ["Nothing such was written."]
    assert len(run("audit", "--tenant", "acme", "--subject", "ana", "--limit", "1")) == 1
    client.submit("echo", {"value": 1})
    assert last(client).door == "python"
