"""Finding tasks: pages of the newest first, by an index at any size, and only what one may see."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Identity, InvalidInput, TaskStatus
from agent_tasks.store.queries import condition, doors, search
from agent_tasks.task.budget import Budget
from agent_tasks.task.task_filter import TaskFilter
from tests.database import claimed, query, submitted
from tests.database.children import run_child
from tests.database.filling import fill
from tests.database.plans import watched

ANA = Identity(subject="ana", tenant="acme")
BOB = Identity(subject="bob", tenant="acme")
ALL = Identity(subject="boss", tenant="acme", scopes=("tasks:all",))
EVE = Identity(subject="ana", tenant="other")

OWNED = """
    UPDATE agent_tasks.tasks SET tenant = 't' || numbers.n % 3,
        identity = jsonb_build_object('tenant', 't' || numbers.n % 3, 'subject', 's' || numbers.n % 50),
        session_id = 'session' || numbers.n % 100
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM agent_tasks.tasks) AS numbers
    WHERE numbers.id = tasks.id AND numbers.n % 2 = 0
"""
AUDITED = """
    INSERT INTO agent_tasks.audit (door, origin, operation, answer, task_id, tenant, subject)
    SELECT 'python', 'x', 'submit', 'accepted', id, tenant, identity ->> 'subject' FROM agent_tasks.tasks
"""


def filled(client: AgentTasks) -> None:
    """20,000 tasks and more, half of them of three tenants with some subjects, and as many rows of the audit."""
    fill(client, 20_000, children=3_000)
    with client.database.transaction() as connection:
        connection.execute("SET LOCAL session_replication_role = replica")  # what has ended does not change
        connection.execute(OWNED)
        connection.execute(AUDITED)


def failed_with(client: AgentTasks, message: str, type: str = "step_failed", **options: Any) -> UUID:
    """A task that has ended with this error."""
    task = submitted(client, **options)
    sql = (
        "UPDATE agent_tasks.tasks SET status = 'failed', error = %s::jsonb, due_at = NULL, finished_at = now() "
        "WHERE id = %s"
    )
    query(client, sql, json.dumps({"type": type, "message": message, "retryable": False}), task)
    return task


def ids(page: Any) -> list[UUID]:
    return [task.id for task in page.tasks]


def walked(client: AgentTasks, **asked: Any) -> list[UUID]:
    """The ids of all pages."""
    found: list[UUID] = []
    after: str | None = None
    while True:
        page = client.search(after=after, **asked)
        found += ids(page)
        after = page.next
        if after is None:
            return found


def test_the_newest_come_first_and_each_comes_once(client: AgentTasks) -> None:
    made = [task.id for task in client.submit_many("echo", [{"value": n} for n in range(7)])]
    page = client.search(limit=3)
    assert ids(page) == made[:3:-1]
    later = client.submit("echo", {"value": 8}).id
    assert ids(client.search(limit=3, after=page.next)) == made[3:0:-1]
    assert walked(client, limit=3) == [later, *reversed(made)]
    assert client.search(limit=8).next is None
    assert client.search(agent="none").tasks == []


def test_all_that_is_asked_must_be_so(client: AgentTasks) -> None:
    ana = submitted(client, identity=ANA, session_id="s")
    bob = submitted(client, identity=BOB, session_id="s")
    eve = submitted(client, identity=EVE)
    nobody = submitted(client)
    run_child(client, ana)
    claimed(client, bob)
    assert ids(client.search(status="completed")) == ids(client.search(status=TaskStatus.COMPLETED)) == [ana]
    assert ids(client.search(status="running")) == [bob]
    assert ids(client.search(tenant="acme")) == [bob, ana]
    assert ids(client.search(tenant="")) == [nobody]
    assert ids(client.search(subject="ana")) == [eve, ana]
    assert ids(client.search(subject="ana", tenant="other")) == [eve]
    assert ids(client.search(session_id="s")) == [bob, ana]
    assert ids(client.search(session_id="s", status="running", agent="echo")) == [bob]
    assert ids(client.search(agent="other")) == []


def test_an_identity_finds_what_it_may_see(client: AgentTasks) -> None:
    ana = submitted(client, identity=ANA, session_id="s")
    bob = submitted(client, identity=BOB, session_id="s")
    submitted(client, identity=EVE, session_id="s")
    submitted(client, session_id="s")
    assert ids(client.search(identity=ANA)) == ids(client.search(identity=ANA, session_id="s")) == [ana]
    assert ids(client.search(identity=ALL)) == ids(client.search(identity=ALL, session_id="s")) == [bob, ana]
    assert ids(client.search(identity=ALL, subject="bob")) == [bob]
    assert ids(client.search(identity=ANA, subject="bob")) == ids(client.search(identity=ANA, tenant="other")) == []


@pytest.mark.parametrize("of_nobody", [0, 1])
def test_a_page_looks_at_so_many_rows_and_may_be_short(client: AgentTasks, of_nobody: int) -> None:
    made = [task.id for task in client.submit_many("echo", [{"value": n} for n in range(of_nobody)])]
    client.submit_many("echo", [{"value": n} for n in range(9)], identity=ANA)
    found: list[UUID] = []
    place, pages = None, 0
    with client.database.connection() as connection:
        while pages == 0 or place is not None:
            page = search.tasks(connection, TaskFilter(agent="echo", tenant=""), after=place, looked_at=4)
            found += [row["id"] for row in page.rows]
            place, pages = page.next, pages + 1
    assert (found, pages) == (made, 3)


def test_each_condition_is_fulfilled_whichever_index_is_followed(client: AgentTasks) -> None:
    failed = failed_with(
        client, "the upstream said: rate limit (429)", identity=ANA, metadata={"ticket": 7, "env": "prod"}
    )
    poison = failed_with(client, "its worker died", type="poison", queue="slow", metadata={"ticket": "7"})
    lives = submitted(client, queue="slow", metadata={"ticket": 8, "ok": True, "none": None, "of": {"a": 1}})
    asked: list[tuple[dict[str, Any], list[UUID]]] = [
        ({"queue": "slow"}, [lives, poison]),
        ({"queue": "slow", "status": "failed"}, [poison]),
        ({"step": "echo"}, [lives, poison, failed]),
        ({"step": "other"}, []),
        ({"error_type": "poison"}, [poison]),
        ({"error_type": "step_failed", "queue": "slow"}, []),
        ({"metadata": {"ticket": 7}}, [poison, failed]),
        ({"metadata": {"ticket": 7, "env": "prod"}}, [failed]),
        ({"metadata": {"ticket": "8", "ok": True}}, [lives]),
        ({"metadata": {"none": "null"}}, []),
        ({"metadata": {"TICKET": 7}}, []),
        ({"text": "RATE limit"}, [failed]),
        ({"text": "upstr"}, [failed]),
        ({"text": "429"}, [failed]),
        ({"text": "poison"}, [poison]),
        ({"text": "worker upstream"}, []),
        ({"text": str(failed)}, [failed]),
        ({"text": str(failed)[:23], "status": "failed"}, [failed]),
        ({"text": str(lives).upper()}, [lives]),
        ({"text": str(failed), "tenant": "other"}, []),
    ]
    for few in (1, 1_000):
        for fields, wanted in asked:
            with client.database.connection() as connection:
                found = search.tasks(connection, TaskFilter(**fields), few=few)
            assert ([row["id"] for row in found.rows], found.next) == (wanted, None), (few, fields)
    assert ids(client.search(metadata={"ticket": 7}, identity=ANA)) == [failed]
    assert ids(client.search(text="poison", identity=ALL)) == []


def test_times_are_those_of_the_database_whatever_the_clock_that_made_an_id(client: AgentTasks) -> None:
    early, late = submitted(client), submitted(client)
    query(client, "UPDATE agent_tasks.tasks SET created_at = created_at - interval '3 d' WHERE id = %s", early)
    now = datetime.now(UTC)
    assert ids(client.search(created_after=timedelta(days=2))) == [late]
    assert ids(client.search(created_before=timedelta(days=2))) == [early]
    assert ids(client.search(created_after=now - timedelta(days=4))) == [late, early]
    assert ids(client.search(created_after=now - timedelta(days=4), created_before=now - timedelta(days=2))) == [early]
    assert ids(client.search(created_after=datetime.min.replace(year=3, tzinfo=UTC), agent="echo")) == [late, early]
    assert ids(client.search(created_after=datetime.max.replace(year=9000, tzinfo=UTC))) == []


def test_where_very_many_ids_do_not_tell_their_time_all_are_found_all_the_same(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(condition, "MOST_SKEWED", 1)
    skewed = [submitted(client) for _ in range(3)]
    late = submitted(client)
    query(client, "UPDATE agent_tasks.tasks SET created_at = created_at - interval '3 d' WHERE id = ANY (%s)", skewed)
    found = client.search(created_after=timedelta(days=4), created_before=timedelta(days=2)).tasks
    assert [task.id for task in found] == skewed[::-1]
    assert [task.id for task in client.search(created_after=timedelta(days=2)).tasks] == [late]


def test_tasks_of_a_time_of_the_end_come_as_they_ended_and_each_once(client: AgentTasks) -> None:
    made = [submitted(client, identity=ANA if n % 2 else None) for n in range(6)]
    for task in reversed(made):
        client.get(task).cancel()
    assert walked(client, ended_after=timedelta(hours=1), limit=2) == made
    assert walked(client, ended_after=timedelta(hours=1), tenant="acme", limit=1) == made[1::2]
    assert walked(client, ended_before=timedelta(0), agent="echo", limit=4) == made
    assert walked(client, ended_before=timedelta(hours=1), limit=2) == []
    with client.database.connection() as connection:
        page = search.tasks(connection, TaskFilter(ended_after=timedelta(1), tenant=""), looked_at=2, few=1, limit=9)
        assert [row["id"] for row in page.rows] == made[:1]
        assert page.next is not None
    with pytest.raises(InvalidInput):
        client.search(after=client.search(limit=1).next, ended_after=timedelta(1))


def test_a_key_of_metadata_of_any_length_is_found_and_goes_with_its_task(client: AgentTasks) -> None:
    key = "k" * 10_240
    one, other = (submitted(client, metadata={key: "v" * 9_000 + end, key + end: 1}) for end in "ab")
    assert ids(client.search(metadata={key: "v" * 9_000 + "a"})) == [one]
    assert ids(client.search(metadata={key + "b": 1})) == [other]
    many = submitted(client, metadata={f"key{n:03}": n for n in range(100)})
    assert ids(client.search(metadata={"key007": 7})) == [many]
    assert query(client, "SELECT count(*) AS n FROM agent_tasks.labels WHERE task_id = %s", many) == [{"n": 64}]
    query(client, "UPDATE agent_tasks.tasks SET metadata = NULL WHERE id = %s", many)
    query(client, "DELETE FROM agent_tasks.tasks WHERE id = %s", one)
    assert {row["task_id"] for row in query(client, "SELECT task_id FROM agent_tasks.labels")} == {other}


@pytest.mark.parametrize(
    "text", [".*", "'; DROP TABLE agent_tasks.tasks; --", "a & !b | (c", "%", "\\x00 \\", "<-> :*", "é*"]
)
def test_text_is_looked_for_as_it_is(client: AgentTasks, text: str) -> None:
    failed_with(client, "something else")
    if any(c.isalnum() for c in text):
        assert client.search(text=text).tasks == []
        said = failed_with(client, f"it said {text} then")
        assert ids(client.search(text=text)) == [said]
    else:
        with pytest.raises(InvalidInput, match="a letter or a digit"):
            client.search(text=text)


@pytest.mark.parametrize(
    "asked",
    [
        {"after": "x"}, {"after": ""}, {"after": 7}, {"after": "AZq5Y0cAcACAAAAAAAAAAAAA"}, {"after": "é"},
        {"after": "0198c2f4-0000-7000-8000-000000000000"}, {"limit": 0}, {"limit": 1001}, {"limit": True},
        {"status": "gone"}, {"agent": ""}, {"subject": "a\x00"}, {"session_id": 7}, {"identity": "ana"},
        {"step": 7}, {"queue": ""}, {"error_type": "bad"}, {"created_after": "2026-11-27"}, {"ended_after": 7},
        {"ended_before": datetime(2026, 11, 27)}, {"created_before": timedelta(-1)}, {"metadata": "ticket=7"},
        {"metadata": {"": 1}}, {"metadata": {"a": None}}, {"metadata": {"a": [1]}}, {"metadata": {"a\x00": 1}},
        {"metadata": {"a": "\x00"}}, {"metadata": {"k" * 20_000: 1}}, {"metadata": dict.fromkeys("abcdefghi", 1)},
        {"created_after": timedelta(1), "created_before": timedelta(2)},
        {"ended_after": datetime(2026, 11, 28, tzinfo=UTC), "ended_before": datetime(2026, 11, 27, tzinfo=UTC)},
        {"text": ""}, {"text": "t" * 1_001}, {"text": 7}, {"filter": {"agent": "echo"}},
        {"filter": TaskFilter(agent="echo"), "status": "failed"},
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(client: AgentTasks, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        client.search(**asked)
    if "after" in asked:
        assert "give the `next` of the page before" in str(refused.value)


def test_no_search_reads_a_whole_table(client: AgentTasks) -> None:
    filled(client)
    one = Identity(subject="s1", tenant="t1")
    everyone = Identity(subject="s1", tenant="t1", scopes=("tasks:all",))
    asked: list[dict[str, Any]] = [
        {"identity": one}, {"identity": everyone}, {"tenant": "t1"}, {"tenant": "none"}, {"tenant": ""},
        {"session_id": "session3"}, {"session_id": "session3", "identity": one}, {"agent": "nobody"}, {},
        {"status": "pending"}, {"status": "waiting", "identity": everyone}, {"status": "failed", "identity": one},
        {"status": "failed"}, {"status": "completed", "agent": "nobody", "session_id": "session3"},
        {"subject": "s2"}, {"identity": Identity(subject="x", tenant="none")}, {"step": "echo"}, {"queue": "agents"},
        {"step": "none", "queue": "agents"}, {"error_type": "step_failed", "agent": "agent3"}, {"text": "failed m"},
        {"metadata": {"a": 1}}, {"metadata": {"a": 1}, "agent": "agent1"}, {"text": "0198c2f4"}, {"text": "none"},
        {"created_after": timedelta(1), "agent": "agent1"}, {"created_before": timedelta(1)},
        {"ended_after": timedelta(1)}, {"ended_before": timedelta(0), "subject": "s2", "tenant": "t2"},
        {"ended_after": timedelta(hours=1), "status": "failed"}, {"text": "m", "ended_after": timedelta(1)},
    ]  # fmt: skip
    for analyzed in (False, True):
        if analyzed:
            query(client, "ANALYZE")
        for one_of_them in asked:
            with watched(buffers=None) as seen:
                page = client.search(limit=50, **one_of_them)
                more = client.search(limit=50, after=page.next, **one_of_them) if page.next else None
            assert not seen.faults, (one_of_them, analyzed, seen.story)
            assert more is None or not set(ids(page)) & set(ids(more))


def test_what_doors_ask_is_found_by_an_index(client: AgentTasks) -> None:
    filled(client)
    one = Identity(subject="s1", tenant="t1")
    some = str(query(client, "SELECT id FROM agent_tasks.tasks LIMIT 1")[0]["id"])
    asks: list[Callable[[Any], Any]] = [
        lambda c: doors.pace(c, "agent1"),
        lambda c: doors.session_queue(c, "session3", "agent1", one),
        lambda c: doors.open_tasks(c, "t1", 100),
    ]
    for analyzed in (False, True):
        if analyzed:
            query(client, "ANALYZE")
        with watched(buffers=None) as seen:
            for ask in asks:
                with client.database.connection() as connection:
                    ask(connection)
            for asked in ({}, {"tenant": "t1"}, {"task_id": some}, {"identity": one}, {"subject": "nobody"}):
                client.audit(**asked)  # type: ignore[arg-type]
        assert not seen.faults, seen.story


def test_the_pace_of_an_agent_is_that_of_its_last_completed_root_tasks(client: AgentTasks) -> None:
    with client.database.connection() as connection:
        assert doors.pace(connection, "echo") == {"p95": None, "runs": 0}
        tasks = [submitted(client) for _ in range(21)]
        sql = (
            "UPDATE agent_tasks.tasks SET status = 'completed', due_at = NULL, "
            "created_at = now() - %s * interval '1 s', finished_at = now() WHERE id = %s"
        )
        for seconds, task in enumerate(tasks):
            query(client, sql, seconds, task)
        found = doors.pace(connection, "echo")
        assert found == {"p95": pytest.approx(19), "runs": 21}
        old = submitted(client)
        query(
            client,
            "UPDATE agent_tasks.tasks SET status = 'completed', due_at = NULL, finished_at = now() - interval '1 h', "
            "created_at = now() - interval '2 h' WHERE id = %s",
            old,
        )
        failed = submitted(client)
        client.get(failed).cancel()
        assert doors.pace(connection, "echo", runs=21) == found
        assert doors.pace(connection, "other")["runs"] == 0


def test_the_queue_of_a_session_is_that_of_the_newest_task_that_one_may_see(client: AgentTasks) -> None:
    submitted(client, identity=ANA, session_id="s", queue="first")
    submitted(client, identity=ANA, session_id="s", queue="second")
    submitted(client, identity=EVE, session_id="s", queue="theirs")
    with client.database.connection() as connection:
        assert doors.session_queue(connection, "s", "echo", ANA) == "second"
        assert doors.session_queue(connection, "s", "echo", BOB) is None
        assert doors.session_queue(connection, "s", "echo", ALL) == "second"
        assert doors.session_queue(connection, "s", "echo", None) == "theirs"
        assert doors.session_queue(connection, "s", "other", ANA) is None
        assert doors.session_queue(connection, "none", "echo", ANA) is None


def test_open_tasks_of_a_tenant_are_counted_to_a_bound(client: AgentTasks) -> None:
    tasks = [submitted(client, identity=identity) for identity in (ANA, BOB, ANA, EVE, None)]
    with client.database.connection() as connection:
        assert doors.open_tasks(connection, "acme", 100) == 3
        assert doors.open_tasks(connection, "acme", 2) == 2
        client.get(tasks[0]).cancel()
        assert doors.open_tasks(connection, "acme", 100) == 2
        assert doors.open_tasks(connection, "", 100) == 0


def test_agents_are_those_that_workers_told_of_and_those_loaded_here(client: AgentTasks) -> None:
    query(
        client,
        "INSERT INTO agent_tasks.agents (name, definition) VALUES ('away', %s), ('echo', %s)",
        '{"first_step": "go", "budget": {"tokens": 5}, "sensitive": true, "queue": "q", "ttl": null, "goal": "Far."}',
        '{"first_step": "older", "budget": null, "sensitive": false, "queue": null, "ttl": null}',
    )
    found = {each.name: each for each in client.agents()}
    assert list(found) == sorted(found)
    away, echo = found["away"], found["echo"]
    assert (away.goal, away.queue, away.sensitive, away.budget) == ("Far.", "q", True, Budget(tokens=5))
    assert (away.tools, away.signals, away.input_schema, away.scopes) == (["*"], None, None, [])
    assert away.registered_at is not None
    assert echo.first_step == "echo"
    assert echo.registered_at is not None
    assert echo.input_schema is not None
    assert "value" in echo.input_schema["properties"]
    assert any(each.registered_at is None for each in found.values())


def test_sessions_with_one_long_beginning_are_told_apart(client: AgentTasks) -> None:
    long = "s" * 300
    one, other = (submitted(client, identity=ANA, session_id=long + end * 9_000, queue=end) for end in "ab")
    assert ids(client.search(session_id=long + "a" * 9_000)) == [one]
    assert ids(client.search(session_id=long + "b" * 9_000)) == [other]
    with client.database.connection() as connection:
        assert doors.session_queue(connection, long + "a" * 9_000, "echo", ANA) == "a"
