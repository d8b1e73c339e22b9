"""A gateway and a worker whose agents are tools, for the tests of a module."""

from collections.abc import Iterator

import pytest

from tests.conftest import Fleet
from tests.gateway import EVERYTHING, Gateway
from tests.gateway.mcp import AGENTS, Host


@pytest.fixture(scope="module")
def door(fleet: Fleet) -> Iterator[Gateway]:
    worker = fleet.processes.worker(agents=(AGENTS,), queue="mcp")
    running, url = fleet.processes.gateway()
    gateway = Gateway(fleet.client, fleet.processes, running, url)
    yield gateway
    gateway.close()
    worker.kill()


@pytest.fixture(scope="module")
def token(door: Gateway) -> str:
    """Ana's."""
    return door.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING).key


@pytest.fixture(scope="module")
def ana(door: Gateway, token: str) -> Host:
    return Host(door.url, token)
