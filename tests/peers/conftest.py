"""A deployment whose agents call programs elsewhere."""

from collections.abc import Iterator

import pytest

from agent_tasks import AgentTasks
from tests.conftest import Fleet, fresh_deployment
from tests.processes import Processes

AGENTS = ("tests.agents", "tests.agents_peers")


@pytest.fixture(scope="module")
def elsewhere(server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A worker, a sweeper and a beat for all tests of a module that leave them alive."""
    with fresh_deployment(server_urls, template) as settings:
        settings = settings.model_copy(update={"agents": AGENTS})
        with Processes(settings, tmp_path_factory.mktemp("peers")) as processes:
            (worker,) = processes.fleet()
            client = AgentTasks(settings)
            yield Fleet(settings, client, processes, worker)
            client.close()


@pytest.fixture
def deployed(elsewhere: Fleet) -> AgentTasks:
    return elsewhere.client
