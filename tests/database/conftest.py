"""Steps that run here, and what else several tests of this folder have."""

from collections.abc import Callable, Iterator

import pytest

from agent_tasks import AgentTasks
from agent_tasks.client import bulk_run
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


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of a bulk operation are of three, and of two where tasks are changed one by one."""
    monkeypatch.setattr(bulk_run, "BATCH", 3)
    monkeypatch.setattr(bulk_run, "SLOW_BATCH", 2)
