"""PgBouncer between the system and Postgres: transactions of many clients share a few sessions."""

import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from agent_tasks import AgentTasks, Settings
from tests.database import query
from tests.processes import Processes
from tests.servers.bouncer import bouncing, version

SESSIONS = 3
"""Fewer than there are clients, so that each session serves several of them."""
OFTEN = 30
"""Enough for each connection of the pool to have met a statement more often than psycopg waits to prepare it."""
KEPT = "SELECT count(*) AS n FROM pg_prepared_statements"


@pytest.fixture
def pooled(settings: Settings) -> Iterator[str]:
    with bouncing(settings.database_url, size=SESSIONS) as url:
        yield url


@pytest.fixture
def far(settings: Settings, pooled: str) -> Iterator[AgentTasks]:
    """A program that reaches Postgres through the pooler."""
    client = AgentTasks(settings.model_copy(update={"database_url": pooled}))
    yield client
    client.close()


def test_all_goes_through_a_pooler_in_transaction_mode(
    far: AgentTasks, settings: Settings, pooled: str, processes: Processes
) -> None:
    workers = processes.fleet(workers=2, database_url=pooled)
    hops = far.submit_many("hops", [{"to": 5}] * 30)
    waiting = [far.submit("echo", {"waits_for": ["go"], "value": n}) for n in range(5)]
    for task in waiting:
        task.signal("go", 1)
    assert [task.result(timeout=40) for task in hops] == [5] * 30
    assert {task.wait(timeout=40).status for task in waiting} == {"completed"}
    cancelled = far.submit("echo", {"waits_for": ["never"]})
    assert cancelled.cancel().status == "cancelled"
    assert [event.type for event in hops[0].events()][-1] == "finished"
    for process in workers:
        assert "prepared statement" not in process.output
        assert "Traceback" not in process.output


def test_no_setting_of_a_session_and_no_statement_is_left_to_other_clients(
    far: AgentTasks, settings: Settings, pooled: str
) -> None:
    names = ("enable_seqscan", "jit", "TimeZone", "DateStyle", "default_transaction_isolation")
    with psycopg.connect(settings.database_url, autocommit=True) as direct:
        before = {name: direct.execute(f"SHOW {name}".encode()).fetchone() for name in names}
    for n in range(20):
        far.submit("echo", {"value": n}).stored()
    with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as other:
        for _ in range(2 * SESSIONS):
            assert {name: other.execute(f"SHOW {name}".encode()).fetchone() for name in names} == before
            assert other.execute(KEPT.encode()).fetchone() == (0,)


def test_statements_are_kept_prepared_where_no_pooler_stands_between(client: AgentTasks, far: AgentTasks) -> None:
    for one, least, most in ((client, 1, 1000), (far, 0, 0)):
        for _ in range(OFTEN):
            one.submit("echo").stored()
        with one.database.connection() as connection:
            row = connection.execute(KEPT).fetchone()
        assert row is not None
        assert least <= row["n"] <= most


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_statements_are_kept_prepared_by_a_pooler_that_can_where_the_settings_say_so(
    settings: Settings, mode: str
) -> None:
    if mode == "transaction" and version() < (1, 21):
        pytest.skip(f"PgBouncer {'.'.join(map(str, version()))} keeps no statements in transaction mode: 1.21 does")
    prepared = 200 if version() >= (1, 21) else None
    with bouncing(settings.database_url, mode=mode, prepared=prepared) as url:
        client = AgentTasks(settings.model_copy(update={"database_url": url, "prepared_statements": "on"}))
        try:
            for _ in range(OFTEN):
                client.submit("echo").stored()
            assert query(client, KEPT)[0]["n"] > 0
        finally:
            client.close()


def test_migrate_and_doctor_go_through_the_pooler(settings: Settings, pooled: str, processes: Processes) -> None:
    name = pooled.rpartition("/")[2]
    environment = processes.environment(database_url=f"{pooled}_empty")
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}_empty".encode())
    for command, expected in (("migrate", ""), ("migrate", ""), ("doctor", "up to date")):
        argv = [sys.executable, "-m", "agent_tasks.cli", command]
        ran = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0 or command == "doctor", ran.stderr
        assert expected in ran.stdout
        assert "Traceback" not in ran.stderr
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name}_empty WITH (FORCE)".encode())
