"""Real servers for the tests, and a deployment of its own for each test."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import redis

from agent_tasks import AgentTasks, Settings
from agent_tasks.embedded import EmbeddedServers
from agent_tasks.migrations import upgrade
from tests.processes import Processes

TEMPLATE = "agent_tasks_template"


@pytest.fixture(scope="session")
def server_urls() -> Iterator[tuple[str, str]]:
    """(Postgres, Redis): those of AGENT_TASKS_TEST_*, else containers where asked for, else the embedded ones."""
    database, broker = os.environ.get("AGENT_TASKS_TEST_DATABASE_URL"), os.environ.get("AGENT_TASKS_TEST_REDIS_URL")
    if database and broker:
        yield database, broker
    elif os.environ.get("AGENT_TASKS_TEST_CONTAINERS"):
        from tests.containers import running_containers

        with running_containers() as urls:
            yield urls
    else:
        with tempfile.TemporaryDirectory(prefix="at-") as folder, EmbeddedServers(Path(folder)) as servers:
            yield servers.database_url, servers.redis_url


@pytest.fixture(scope="session")
def template(server_urls: tuple[str, str]) -> str:
    """A migrated database that each test's own is copied from."""
    name = f"{TEMPLATE}_{uuid4().hex[:8]}"
    with psycopg.connect(server_urls[0], autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    upgrade(database_named(server_urls[0], name))
    return name


@pytest.fixture
def settings(server_urls: tuple[str, str], template: str) -> Iterator[Settings]:
    """Settings of a fresh deployment, with short times: lease 2 s, bells 1 s, sweeps each 0.2 s."""
    url, broker = server_urls
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    with redis.Redis.from_url(broker) as client:
        client.flushall()
    yield Settings(
        database_url=database_named(url, name),
        redis_url=broker,
        agents=("tests.agents",),
        lease_seconds=2.0,
        ring_seconds=1.0,
        sweep_seconds=0.2,
        drain_seconds=3.0,
        overrun_seconds=1.0,
    )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def client(settings: Settings) -> Iterator[AgentTasks]:
    client = AgentTasks(settings)
    yield client
    client.close()


@pytest.fixture
def processes(settings: Settings, tmp_path: Path) -> Iterator[Processes]:
    """Starts real workers, sweepers and beats on the test's deployment; all are gone after the test."""
    with Processes(settings, tmp_path) as processes:
        yield processes


def database_named(url: str, name: str) -> str:
    """`url` with another database name."""
    head, _, query = url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
