"""A gateway that knows secrets of those who sign, and what is asked there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Fleet
from tests.gateway import Caller, Gateway
from tests.gateway.hooks.asked import SECRETS, Asked


@pytest.fixture(scope="module")
def gateway(fleet: Fleet) -> Iterator[Gateway]:
    running, url = fleet.processes.gateway(hook_secrets=SECRETS)
    fleet.processes.worker(queue="signed", hook_secrets=SECRETS)
    gateway = Gateway(fleet.client, fleet.processes, running, url)
    yield gateway
    gateway.close()


@pytest.fixture(scope="module")
def anybody(gateway: Gateway) -> Caller:
    """Somebody without a key."""
    return gateway.caller(None)


@pytest.fixture
def asked(gateway: Gateway, tmp_path: Path) -> "Asked":
    return Asked(gateway.client, tmp_path)
