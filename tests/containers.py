"""Postgres and Valkey in containers, for a machine with a Docker engine."""

from collections.abc import Generator
from contextlib import contextmanager

import docker
import pytest
from docker.errors import DockerException
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer

from tests.eventually import eventually

POSTGRES, VALKEY = "postgres:18", "valkey/valkey:9"
"""The images of docker-compose.yml."""


@contextmanager
def running_containers() -> Generator[tuple[str, str]]:
    """(Postgres, Redis) URLs. Skips what asked for them where no Docker engine answers, and says so."""
    try:
        docker.from_env().ping()
    except DockerException as error:
        pytest.skip(f"no Docker engine answers, and the servers were to be containers: {error}")
    with (
        PostgresContainer(POSTGRES, driver=None) as postgres,
        DockerContainer(VALKEY).with_exposed_ports(6379) as valkey,
    ):
        eventually(lambda: valkey.exec("valkey-cli ping").exit_code == 0, timeout=30)
        url = f"redis://{valkey.get_container_host_ip()}:{valkey.get_exposed_port(6379)}/0"
        yield postgres.get_connection_url(), url
