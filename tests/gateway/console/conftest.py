"""One gateway with agents to look at, for all tests of the console."""

from collections.abc import Iterator

import pytest

from agent_tasks import AgentTasks
from tests.conftest import fresh_deployment
from tests.gateway import Gateway
from tests.gateway.console.people import AGENTS
from tests.processes import Processes


@pytest.fixture(scope="package")
def gateway(server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with (
        fresh_deployment(server_urls, template) as settings,
        Processes(settings, tmp_path_factory.mktemp("console")) as processes,
    ):
        processes.fleet(agents=AGENTS)
        running, url = processes.gateway(agents=AGENTS)
        client = AgentTasks(settings)
        yield Gateway(client, processes, running, url)
        client.close()
