"""The state machine: whatever is done to tasks in whatever order, they stand where the model says."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from agent_tasks import AgentTasks
from tests.database.machine.clock import Clock
from tests.database.machine.doorbell import Doorbell
from tests.database.machine.moment import set_clock_ahead
from tests.database.machine.outside import Outside
from tests.database.machine.reporting import Reporting
from tests.database.machine.working import Working


class Tasks(Working, Reporting, Clock, Outside, Doorbell):
    """All moves."""


@pytest.fixture
def calm(client: AgentTasks) -> Iterator[AgentTasks]:
    """Nothing falls due by itself while the moves are made, and the database's clock is ahead of ours."""
    set_clock_ahead(client)
    calm = AgentTasks(client.settings.model_copy(update={"ring_seconds": 600.0, "lease_seconds": 60.0}))
    yield calm
    calm.close()


def run(client: AgentTasks, **size: Any) -> None:
    """Fails with the moves that led there, fewest first."""
    always_the_same = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), **size)
    run_state_machine_as_test(lambda: Tasks(client), settings=always_the_same)


@pytest.mark.timeout(600)  # where it fails, it looks for the fewest moves that do
def test_after_any_moves_tasks_stand_where_the_model_says(calm: AgentTasks) -> None:
    run(calm, max_examples=50, stateful_step_count=50)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_after_very_many_moves_tasks_stand_where_the_model_says(calm: AgentTasks) -> None:
    run(calm, max_examples=400, stateful_step_count=80)
