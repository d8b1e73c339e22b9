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
from agent_tasks.store.migrations import upgrade
from tests.conftest import Fragile, database_named
from tests.eventually import eventually
from tests.processes import Processes

pools = pytest.mark.parametrize("pool", ["threads", "prefork"])


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
