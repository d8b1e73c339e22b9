"""A submit in the caller's own transaction: there with its commit, gone with its rollback."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row
from psycopg.types.json import set_json_loads
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from agent_tasks import AgentTasks, InvalidInput, TaskNotFound
from agent_tasks.doorbell.lists import OURS
from tests.database import query
from tests.eventually import eventually

Open = Callable[[AgentTasks], Any]


@contextmanager
def _psycopg(client: AgentTasks) -> Iterator[Any]:
    with psycopg.connect(client.settings.database_url) as connection:
        yield connection


@contextmanager
def _sqlalchemy(client: AgentTasks) -> Iterator[Any]:
    engine = create_engine(client.settings.database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@contextmanager
def _session(client: AgentTasks) -> Iterator[Any]:
    engine = create_engine(client.settings.database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    with Session(engine) as session:
        yield session
    engine.dispose()


KINDS = {"psycopg": _psycopg, "SQLAlchemy connection": _sqlalchemy, "SQLAlchemy session": _session}


@pytest.fixture(params=KINDS)
def mine(request: pytest.FixtureRequest, client: AgentTasks) -> Iterator[Any]:
    """A transaction of the caller's, of each kind."""
    with KINDS[request.param](client) as connection:
        yield connection


def bells(client: AgentTasks, queue: str = "agents") -> list[str]:
    """The ids of the tasks that were rung for."""
    messages = [json.loads(m) for key in OURS.of(queue) for m in client.redis.lrange(key, 0, -1)]
    return [message["headers"]["id"].split(":")[0] for message in messages]


def count(client: AgentTasks, table: str = "tasks") -> int:
    return query(client, f"SELECT count(*) AS n FROM agent_tasks.{table}")[0]["n"]


def bell_rings_after(client: AgentTasks, task_id: object) -> None:
    eventually(lambda: bells(client) == [str(task_id)], timeout=5)


def test_a_rollback_leaves_nothing(client: AgentTasks, mine: Any) -> None:
    task = client.submit("echo", connection=mine, idempotency_key="k")
    many = client.submit_many("echo", [{"value": n} for n in range(3)], connection=mine)
    assert len(many) == 3
    mine.rollback()
    assert [count(client, table) for table in ("tasks", "events", "idempotency_keys")] == [0, 0, 0]
    other = client.submit("echo")
    eventually(lambda: bells(client))
    assert bells(client) == [str(other.id)]
    with pytest.raises(TaskNotFound):
        client.get(task.id)


def test_a_commit_makes_the_task_and_rings_the_bell_soon_after_it_and_not_before(client: AgentTasks, mine: Any) -> None:
    task = client.submit("echo", connection=mine)
    assert count(client) == 0
    marker = client.submit("count", {"to": 1}, queue="other")  # rung later, and heard before
    eventually(lambda: bells(client, "other") == [str(marker.id)])
    assert bells(client) == []
    mine.commit()
    bell_rings_after(client, task.id)
    assert client.get(task.id).snapshot().status == "pending"


@pytest.mark.parametrize("path", ["shop", "public", "''", "agent_tasks", "shop, agent_tasks, public"])
def test_the_search_path_of_the_caller_and_tables_of_its_own_are_all_the_same(client: AgentTasks, path: str) -> None:
    query(client, "CREATE SCHEMA shop")
    for table in ("shop.tasks", "shop.events", "public.tasks", "public.checkpoints"):
        query(client, f"CREATE TABLE {table} (id integer)")
    with _psycopg(client) as connection:
        connection.execute(f"SET search_path TO {path}")
        task = client.submit("echo", connection=connection, idempotency_key="k")
        assert client.submit("echo", connection=connection, idempotency_key="k").id == task.id
    bell_rings_after(client, task.id)
    assert count(client) == 1


def test_the_tasks_of_many_transactions_are_each_rung_for(client: AgentTasks) -> None:
    ids: list[str] = []
    for n in range(20):
        with _psycopg(client) as connection:
            task = client.submit("echo", connection=connection)
            if n % 2:
                ids.append(str(task.id))
            else:
                connection.rollback()
    eventually(lambda: sorted(bells(client)) == sorted(ids), timeout=5)


def test_the_connection_is_left_as_it_was(client: AgentTasks) -> None:
    with psycopg.connect(client.settings.database_url, row_factory=namedtuple_row) as connection:
        set_json_loads(lambda text: "theirs", connection)
        task = client.submit("echo", connection=connection, idempotency_key="k", metadata={"a": 1})
        assert task._seen is not None
        assert task._seen.metadata == {"a": 1}
        with pytest.raises(InvalidInput):
            client.submit("echo", connection=connection, idempotency_key="")
        assert connection.row_factory is namedtuple_row
        assert connection.cursor_factory is psycopg.Cursor
        assert connection.autocommit is False
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        assert connection.execute("SELECT 1 AS one").fetchone().one == 1  # type: ignore[union-attr]


def test_a_connection_that_commits_by_itself_makes_the_task_at_once(client: AgentTasks) -> None:
    with psycopg.connect(client.settings.database_url, autocommit=True) as connection:
        task = client.submit("echo", connection=connection, idempotency_key="k")
        assert connection.autocommit is True
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert count(client) == 1
    bell_rings_after(client, task.id)


def test_what_was_rolled_back_to_a_savepoint_is_not_there_and_not_rung_for(client: AgentTasks) -> None:
    with psycopg.connect(client.settings.database_url) as connection:
        connection.execute("SELECT 1")  # a transaction has begun: what follows is a savepoint in it
        with connection.transaction(force_rollback=True):
            gone = client.submit("echo", connection=connection)
        task = client.submit("echo", connection=connection)
        connection.commit()
    eventually(lambda: str(task.id) in bells(client))
    eventually(lambda: not client._after_commit._watched)
    assert bells(client) == [str(task.id)]
    with pytest.raises(TaskNotFound):
        client.get(gone.id)


def test_what_was_cancelled_in_the_same_transaction_is_not_rung_for(client: AgentTasks) -> None:
    with psycopg.connect(client.settings.database_url) as connection:
        task = client.submit("echo", connection=connection)
        connection.execute(
            "UPDATE agent_tasks.tasks SET status = 'cancelled', error = '{}', due_at = NULL, finished_at = now(), "
            "version = version + 1 WHERE id = %s",
            [task.id],
        )
        other = client.submit("echo", connection=connection)
        connection.commit()
    eventually(lambda: str(other.id) in bells(client))
    assert query(client, "SELECT status FROM agent_tasks.tasks WHERE id = %s", task.id) == [{"status": "cancelled"}]


def test_a_failed_transaction_of_the_callers_raises_and_leaves_nothing(client: AgentTasks) -> None:
    with psycopg.connect(client.settings.database_url) as connection:
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM nowhere")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            client.submit("echo", connection=connection)
        connection.rollback()
        client.submit("echo", connection=connection)
        connection.commit()
    assert count(client) == 1


@pytest.mark.parametrize("wrong", ["postgresql://", 7, object(), {}])
def test_what_is_no_connection_is_refused(client: AgentTasks, wrong: Any) -> None:
    with pytest.raises(InvalidInput, match="psycopg") as caught:
        client.submit("echo", connection=wrong)
    assert caught.value.details["field"] == "connection"
    assert count(client) == 0


def test_a_transaction_that_is_open_when_the_client_closes_still_makes_its_task(client: AgentTasks) -> None:
    with psycopg.connect(client.settings.database_url) as connection:
        client.submit("echo", connection=connection)
        client.close()
        connection.commit()
    assert count(client) == 1


@pytest.mark.parametrize("autocommit", [False, True])
def test_a_callers_connection_is_given_back_as_it_was(client: AgentTasks, autocommit: bool) -> None:
    with psycopg.connect(client.settings.database_url, autocommit=autocommit) as mine:
        before = session_of(mine)
        for n in range(10):  # psycopg prepares a statement when it comes for the sixth time
            client.submit("echo", {"value": n}, connection=mine, idempotency_key=f"k{n}")
            client.submit_many("echo", [{"value": n}], connection=mine)
        mine.commit()
        assert session_of(mine) == before
        assert (mine.autocommit, mine.prepare_threshold) == (autocommit, 5)
    assert count(client) == 20


def session_of(connection: "psycopg.Connection[Any]") -> list[list[Any]]:
    """All that a session of Postgres keeps from one transaction to the next."""
    looks = (
        "SELECT name, setting, source FROM pg_settings WHERE name NOT LIKE 'plpgsql.%' ORDER BY name",
        "SELECT name, statement FROM pg_prepared_statements ORDER BY name",
        "SELECT * FROM pg_listening_channels()",
        "SELECT name FROM pg_cursors WHERE is_holdable",
        "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
        "SELECT relname FROM pg_class WHERE relpersistence = 't' AND pg_table_is_visible(oid)",
    )
    found = [connection.execute(look, prepare=False).fetchall() for look in looks]
    connection.rollback()
    return found
