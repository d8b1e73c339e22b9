"""Django's test database, where the test is one of a Django project with our app: tasks and models are in one."""

from typing import Any

import psycopg
import pytest

from agent_tasks.settings import Settings
from agent_tasks.store.migrations import upgrade
from agent_tasks.testing import moved_clock
from agent_tasks.testing.databases import empty
from agent_tasks.testing.deployment import settings_of_test

_prepared: set[str] = set()


def settings_of_django(request: pytest.FixtureRequest) -> Settings | None:
    """Return settings for Django's test database, with our tables in it and nothing in them; None without Django.

    The test gets pytest-django's `transactional_db`: what it writes is committed, so that steps see it.
    """
    if not _is_in_use(request):
        return None
    from django.db import connections

    from agent_tasks.contrib.django.configuration import given_settings
    from agent_tasks.contrib.django.database import url_of

    request.node.add_marker(pytest.mark.django_db(transaction=True), append=False)
    request.getfixturevalue("transactional_db")
    default: Any = connections["default"]
    if default.in_atomic_block:
        pytest.fail(
            "The fixture agent_tasks needs a test whose transactions commit, so that steps see what it writes: mark it "
            "django_db(transaction=True), and leave out the fixture db"
        )
    settings = settings_of_test(url_of(default.settings_dict), given_settings())
    _prepare(settings.database_url, str(default.settings_dict["NAME"]))
    default.close()  # the next one reads the clock of the test
    return settings


def _is_in_use(request: pytest.FixtureRequest) -> bool:
    if not request.config.pluginmanager.hasplugin("django"):
        return False
    from django.apps import apps
    from django.conf import settings

    return bool(settings.configured) and apps.is_installed("agent_tasks.contrib.django")


def _prepare(url: str, name: str) -> None:
    if url not in _prepared:
        upgrade(url)
    with psycopg.connect(url, autocommit=True) as connection:
        if url not in _prepared:
            moved_clock.make(connection)
            moved_clock.use(connection, name)
        empty(connection)
    _prepared.add(url)
