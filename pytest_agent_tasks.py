"""The plugin of pytest: the fixture `agent_tasks`.

It lies outside of the package, whose import takes a second: pytest loads it wherever it is installed, and nothing of
ours is imported before a test asks for the fixture.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from agent_tasks.testing.bench import Bench
    from agent_tasks.testing.kit import Kit


@pytest.fixture(scope="session")
def _agent_tasks_bench(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> "Iterator[Bench]":
    from agent_tasks.embedded.session import SessionPostgres

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    postgres = SessionPostgres(shared / "agent-tasks")
    if not pytestconfig.pluginmanager.hasplugin("django"):  # else it may be Django's database that is used
        postgres.begin()  # it starts while the rest is imported
    from agent_tasks.testing.bench import Bench

    bench = Bench(postgres)
    yield bench
    bench.close()


@pytest.fixture
def agent_tasks(request: pytest.FixtureRequest, _agent_tasks_bench: "Bench") -> "Iterator[Kit]":
    """A deployment of the test's own on a real Postgres: see docs/testing.md."""
    with _agent_tasks_bench.kit(request) as kit:
        yield kit
        kit.calls.check()
