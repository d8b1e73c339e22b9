"""Steps that run here, for the tests of this folder."""

from collections.abc import Callable, Iterator

import pytest

from agent_tasks import AgentTasks
from tests.database.courses import Course, made
from tests.database.driving import Driver, driving


@pytest.fixture
def driver(client: AgentTasks) -> Iterator[Driver]:
    with driving(client) as driver:
        yield driver


@pytest.fixture
def course(driver: Driver) -> Callable[..., Course]:
    """Makes the courses of functions, of which none has made anything yet."""
    made.clear()
    return lambda function, **options: Course(driver, function, **options)
