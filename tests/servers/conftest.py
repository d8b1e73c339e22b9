"""Every test of this folder is run by `make test-servers` alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.rabbit import Rabbit, rabbitmq

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.servers)


@pytest.fixture(scope="module")
def rabbit() -> Iterator[Rabbit]:
    """One RabbitMQ for all tests of a module."""
    with rabbitmq() as server:
        yield server
