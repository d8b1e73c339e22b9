"""One gateway, worker, sweeper and beat for the tests of a module."""

from collections.abc import Iterator

import pytest

from tests.conftest import Fleet
from tests.gateway import Caller, Gateway


@pytest.fixture(scope="module")
def gateway(fleet: Fleet) -> Iterator[Gateway]:
    running, url = fleet.processes.gateway()
    gateway = Gateway(fleet.client, fleet.processes, running, url)
    yield gateway
    gateway.close()


@pytest.fixture(scope="module")
def ana(gateway: Gateway) -> Caller:
    return gateway.caller()
