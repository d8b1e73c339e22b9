"""Our tables in Django's test database: `TEST_RUNNER = "agent_tasks.contrib.django.testing.Runner"`."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from django.test.runner import DiscoverRunner

import agent_tasks
from agent_tasks.contrib.django import configuration
from agent_tasks.settings import Settings
from agent_tasks.store.migrations import upgrade


class Runner(DiscoverRunner):
    """Django's test runner, with our tables beside the project's."""

    def setup_databases(self, **options: Any) -> Any:
        """Make the test databases, and our tables in the default one."""
        made = super().setup_databases(**options)
        self._tables = tables_of_tests()
        self._tables.__enter__()
        return made

    def teardown_databases(self, old_config: Any, **options: Any) -> None:
        """Close our connections, and remove the test databases."""
        self._tables.__exit__(None, None, None)
        super().teardown_databases(old_config, **options)


@contextmanager
def tables_of_tests() -> Generator[None]:
    """Make our tables in the test database that `default` is now; all that this process submits meanwhile goes there.

    Whatever `AGENT_TASKS` and the environment say of the database: it would be the one that is no test's.
    """
    configuration.always_default = True
    _forget_default()
    try:
        upgrade(Settings.load().database_url)
        yield
    finally:
        _forget_default()
        configuration.always_default = False


def _forget_default() -> None:
    """Close the default deployment, whose connections would keep Django from removing the database."""
    if agent_tasks._default is not None:  # pyright: ignore[reportPrivateUsage]
        agent_tasks._default.close()  # pyright: ignore[reportPrivateUsage]
        agent_tasks._default = None  # pyright: ignore[reportPrivateUsage]
