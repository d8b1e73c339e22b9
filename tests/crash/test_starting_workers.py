"""A worker takes its first message when it is registered and beats, and not before; where it cannot, it says why."""

import os
import signal
from collections.abc import Callable
from time import monotonic
from uuid import uuid4

import psycopg
import pytest
import redis

from agent_tasks import AgentTasks, Settings
from agent_tasks.doorbell.lists import OURS
from agent_tasks.store.migrations import script, upgrade
from agent_tasks.store.tables import metadata
from tests.conftest import Fragile
from tests.databases import database_named
from tests.eventually import eventually
from tests.processes import Processes
from tests.roles import acting_as, role

pools = pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.slow)])


def bells(settings: Settings) -> int:
    """The messages that wait in Redis for a worker."""
    with redis.Redis.from_url(settings.redis_url) as broker:
        return sum(broker.llen(key) for key in OURS.of(settings.queue))  # type: ignore[misc]


def for_seconds(seconds: float, holds: Callable[[], bool]) -> None:
    """It holds for so long."""
    until = monotonic() + seconds

    def over() -> bool:
        assert holds()
        return monotonic() > until

    eventually(over, seconds + 10)


@pools
def test_a_worker_that_starts_before_postgres_takes_nothing_until_it_is_there(fragile: Fragile, pool: str) -> None:
    tasks = [fragile.client.submit("echo", {"value": n}) for n in range(5)]
    pid = fragile.servers.postgres.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    worker = fragile.processes.worker(pool=pool, concurrency=2, ready=False)
    try:
        each = {"threads": 1, "prefork": 2}[pool]
        eventually(lambda: worker.output.count("takes no steps: Postgres cannot be reached") == each)
        eventually(lambda: "worker0@test ready" in worker.output)
        for_seconds(3, lambda: bells(fragile.settings) == 5)
    finally:
        fragile.servers.postgres.start()
    assert [task.result(timeout=30) for task in tasks] == list(range(5))
    assert worker.output.count("takes no steps") == each


@pools
def test_a_worker_waits_until_the_database_is_migrated(settings: Settings, processes: Processes, pool: str) -> None:
    name = f"empty_{uuid4().hex[:12]}"
    url = database_named(settings.database_url, name)
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    worker = processes.worker(pool=pool, concurrency=2, ready=False, database_url=url)
    eventually(lambda: "takes no steps: the database is not migrated; run `agent-tasks migrate`" in worker.output)
    upgrade(url)
    client = AgentTasks(settings.model_copy(update={"database_url": url}))
    assert client.submit("echo", {"value": 1}).result(timeout=30) == 1
    client.close()


def test_a_worker_whose_database_user_lacks_rights_names_them_and_serves_when_it_has_them(
    settings: Settings, client: AgentTasks, processes: Processes
) -> None:
    with role(settings.database_url, "ALTER ROLE {role} SET statement_timeout = '2s'") as name:
        worker = processes.worker(ready=False, database_url=acting_as(name, settings.database_url))
        lacks = f"the user {name} of the database lacks USAGE of the schema agent_tasks"
        eventually(lambda: f"takes no steps: {lacks}; have its owner run what `agent-tasks migrate" in worker.output)
        with psycopg.connect(settings.database_url, autocommit=True) as connection:
            connection.execute(script("head", grant=name))  # type: ignore[arg-type]
        assert client.submit("echo", {"value": 1}).result(timeout=30) == 1
        worker.kill()


def test_a_deployment_works_under_short_time_outs_of_its_database_user(
    settings: Settings, processes: Processes
) -> None:
    limits = {"statement_timeout": 2000, "idle_in_transaction_session_timeout": 500, "idle_session_timeout": 700}
    short = [f"ALTER ROLE {{role}} SET {name} = {value}" for name, value in limits.items()]
    with role(settings.database_url, *short) as name:
        with psycopg.connect(settings.database_url, autocommit=True) as connection:
            connection.execute(script("head", grant=name))  # type: ignore[arg-type]
        url = acting_as(name, settings.database_url)
        client = AgentTasks(settings.model_copy(update={"database_url": url}))
        started = processes.fleet(database_url=url)
        assert client.submit("hops", {"to": 2}).result(timeout=30) == 2
        before = sessions_of(name, settings)
        eventually(lambda: before - sessions_of(name, settings))  # some were idle for too long
        assert client.submit("hops", {"to": 2}).result(timeout=30) == 2
        client.close()
        for process in processes.all:
            process.kill()
        assert "Traceback" not in started[0].output
        assert "away" not in started[0].output


def sessions_of(name: str, settings: Settings) -> set[int]:
    with psycopg.connect(settings.database_url) as connection:
        found = connection.execute("SELECT pid FROM pg_stat_activity WHERE usename = %s", [name]).fetchall()
    return {pid for (pid,) in found}


def test_a_worker_leaves_a_schema_alone_that_is_not_ours(settings: Settings, processes: Processes) -> None:
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute("ALTER SCHEMA agent_tasks RENAME TO other")
        connection.execute("CREATE SCHEMA agent_tasks CREATE TABLE tasks (id int)")
    worker = processes.worker(ready=False)
    said = "takes no steps: the schema agent_tasks of the database is not of agent-tasks: it holds tasks; rename it"
    eventually(lambda: said in worker.output)


def test_a_worker_serves_on_tables_of_a_newer_release(
    settings: Settings, client: AgentTasks, processes: Processes
) -> None:
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute("UPDATE agent_tasks.agent_tasks_version SET version_num = '9999'")
        for table in metadata.tables:
            connection.execute(f"ALTER TABLE {table} ADD newer int NOT NULL DEFAULT 0, ADD newest jsonb")  # type: ignore[arg-type]
    processes.fleet()
    assert client.submit("hops", {"to": 2}).result(timeout=30) == 2
    waits = client.submit("echo", {"waits_for": ["go"], "value": 7})
    eventually(lambda: waits.stored().status == "waiting")
    waits.signal("go", 1)
    assert waits.wait(timeout=30).status == "completed"


def test_a_worker_that_starts_before_redis_serves_when_it_is_there(fragile: Fragile) -> None:
    task = fragile.client.submit("echo", {"value": 1})
    pid = fragile.servers.valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    worker = fragile.processes.worker(ready=False)
    try:
        eventually(lambda: "takes steps: " in worker.output)
    finally:
        fragile.servers.valkey.start()
    fragile.processes.fleet(workers=0)  # the message is lost with Redis: the sweep rings again
    assert task.result(timeout=30) == 1


@pools
@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("tests.agents_wrong.unknown_name", "bills.bills in tests.agents_wrong.unknown_name cannot be served"),
        ("tests.agents_wrong.second_step", "decides.decide in tests.agents_wrong.second_step cannot be served"),
        ("tests.agents_wrong.refused_schema", "a fault of the type's own"),
        ("tests.agents_wrong.absent", "AGENT_TASKS_AGENTS names tests.agents_wrong.absent, which does not load"),
    ],
)
def test_a_worker_whose_agents_are_wrong_says_so_and_ends(
    client: AgentTasks, processes: Processes, pool: str, module: str, reason: str
) -> None:
    task = client.submit("echo", {"value": 1})
    worker = processes.worker(pool=pool, ready=False, agents=("tests.agents", module))
    assert worker.wait_for_exit() != 0
    assert reason in worker.output
    assert task.stored().status == "pending"
