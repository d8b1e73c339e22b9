"""The bench of a session of tests: its server, its template, and the kit that each test is lent."""

from collections.abc import Generator
from contextlib import contextmanager

import pytest

import agent_tasks
from agent_tasks.embedded.session import SessionPostgres
from agent_tasks.testing.databases import Databases
from agent_tasks.testing.deployment import settings_of_test
from agent_tasks.testing.django_database import settings_of_django
from agent_tasks.testing.kit import Kit


class Bench:
    """Makes at its first use what all tests of a process share: a server, a template, a worker, connections."""

    def __init__(self, postgres: SessionPostgres) -> None:
        self._postgres = postgres
        self._kit: Kit | None = None
        self._databases: Databases | None = None
        self._another: str | None = None

    @contextmanager
    def kit(self, request: pytest.FixtureRequest) -> Generator[Kit]:
        """Lend the kit for one test: with an empty database, no stubs, and a clock that goes right.

        It is also the deployment behind `agent_tasks.submit` meanwhile.
        """
        settings = settings_of_django(request)
        kit = self._fresh() if settings is None else Kit(settings, self._another_database)
        before = agent_tasks._default  # pyright: ignore[reportPrivateUsage]
        agent_tasks._default = kit.client  # pyright: ignore[reportPrivateUsage]
        try:
            yield kit
        finally:
            agent_tasks._default = before  # pyright: ignore[reportPrivateUsage]
            if settings is not None:
                kit.close()  # Django could not remove its database while somebody is connected

    def close(self) -> None:
        if self._kit is not None:
            self._kit.close()
        if self._databases is not None and not self._postgres.is_ours:
            self._databases.drop()
        self._postgres.close()

    def _fresh(self) -> Kit:
        databases = self._made_databases()
        if self._kit is not None and not self._is_empty(self._kit, databases):
            self._kit.close()
            self._kit = None
        if self._kit is None:
            self._kit = Kit(settings_of_test(databases.make()), self._another_database)
        self._kit.reset()
        return self._kit

    def _made_databases(self) -> Databases:
        if self._databases is None:
            self._databases = Databases(self._postgres.url())
        return self._databases

    def _another_database(self) -> str:
        """Return the URL of the database on which `crash_everywhere` runs: those who use it empty it."""
        if self._another is None:
            self._another = self._made_databases().make_another()
        return self._another

    def _is_empty(self, kit: Kit, databases: Databases) -> bool:
        with kit.client.database.connection() as connection:
            return databases.empty(connection)
