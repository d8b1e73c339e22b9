"""For pytest-django: `from agent_tasks.contrib.django.fixtures import django_db_setup` in the project's conftest.py."""

from collections.abc import Generator
from typing import Any

import pytest

from agent_tasks.contrib.django.testing import tables_of_tests


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Generator[None]:
    """pytest-django's fixture of the test databases, with our tables beside the project's."""
    with django_db_blocker.unblock(), tables_of_tests():
        yield
