"""Real servers for the tests, and a deployment of its own for each test."""

import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import hypothesis
import pytest
import redis

from agent_tasks import AgentTasks, Settings
from agent_tasks.embedded import EmbeddedServers
from tests.databases import databases, make_template
from tests.processes import Processes, Running
from tests.proxy import Proxy, address_of, through

# On a busy machine nothing that is generated is late, or slow to come.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")
if find_spec("pydantic_ai") is None:  # it allows no old pydantic, so `make test-oldest` is without the extra `llm`
    collect_ignore = ["unit/planner/test_writing.py", "unit/research/test_synthesis.py"]


_LAST = ("database", "webhooks", "unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files whose tests are long come first and those of short tests last, so that all processes end about together."""
    items.sort(key=lambda item: next((n for n, name in enumerate(_LAST, 1) if name in item.path.parts), 0))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its processes said."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            found = value if isinstance(value, Processes) else getattr(value, "processes", None)
            if isinstance(found, Processes):
                report.sections += [(f"{p.name} ({p.pid})", p.story[-12000:]) for p in found.all]
    return report


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
        with (
            tempfile.TemporaryDirectory(prefix="at-") as folder,
            EmbeddedServers(Path(folder), durable=False) as servers,
        ):
            yield servers.database_url, servers.redis_url


@pytest.fixture(scope="session")
def template(server_urls: tuple[str, str]) -> str:
    """A migrated database that each test's own is copied from."""
    return make_template(server_urls[0])


@pytest.fixture
def settings(server_urls: tuple[str, str], template: str) -> Iterator[Settings]:
    """Settings of a fresh deployment, with short times: lease 2 s, bells 1 s, sweeps each 0.2 s."""
    with fresh_deployment(server_urls, template) as settings:
        yield settings


@pytest.fixture(scope="module")
def fleet(server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Fleet"]:
    """One deployment with a worker, a sweeper and a beat for all tests of a module that leave them alive."""
    with (
        fresh_deployment(server_urls, template) as settings,
        Processes(settings, tmp_path_factory.mktemp("fleet")) as processes,
    ):
        (worker,) = processes.fleet()
        client = AgentTasks(settings)
        yield Fleet(settings, client, processes, worker)
        client.close()


@pytest.fixture(scope="module")
def own_servers() -> Iterator[EmbeddedServers]:
    """Servers of a module's own, which its tests may kill; `start()` of either brings it back where it was."""
    with tempfile.TemporaryDirectory(prefix="at-") as folder, EmbeddedServers(Path(folder), durable=False) as servers:
        yield servers


@pytest.fixture(scope="module")
def own_template(own_servers: EmbeddedServers) -> str:
    return make_template(own_servers.database_url)


@pytest.fixture
def fragile(own_servers: EmbeddedServers, own_template: str, tmp_path: Path) -> Iterator["Fragile"]:
    """A deployment on servers that the test may kill."""
    with (
        fresh_deployment((own_servers.database_url, own_servers.redis_url), own_template) as settings,
        Processes(settings, tmp_path) as processes,
    ):
        client = AgentTasks(settings)
        yield Fragile(settings, client, processes, own_servers)
        client.close()


@pytest.fixture
def proxy(settings: Settings) -> Iterator[Proxy]:
    """Between the system and Postgres, for those who connect through it."""
    with Proxy(address_of(settings.database_url)) as proxy:
        yield proxy


@pytest.fixture
def far(settings: Settings, proxy: Proxy) -> Iterator[AgentTasks]:
    """A program that reaches Postgres through the proxy."""
    client = AgentTasks(settings.model_copy(update={"database_url": through(settings.database_url, proxy)}))
    yield client
    client.close()


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


@dataclass(frozen=True)
class Fleet:
    settings: Settings
    client: AgentTasks
    processes: Processes
    worker: Running


@dataclass(frozen=True)
class Fragile:
    settings: Settings
    client: AgentTasks
    processes: Processes
    servers: EmbeddedServers


@contextmanager
def fresh_deployment(urls: tuple[str, str], template: str) -> Iterator[Settings]:
    """An empty database and an empty Redis, with short times."""
    url, broker = urls
    with databases(url, template).one() as database_url:
        with redis.Redis.from_url(broker) as client:
            client.flushall()
        yield Settings(
            database_url=database_url,
            redis_url=broker,
            agents=(
                "tests.agents",
                "tests.agents_children",
                "tests.agents_hooks",
                "tests.agents_ledger",
                "tests.agents_limits",
                "tests.agents_neighbours",
            ),
            lease_seconds=2.0,
            ring_seconds=1.0,
            sweep_seconds=0.2,
            drain_seconds=3.0,
            overrun_seconds=1.0,
        )
