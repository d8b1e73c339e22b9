"""The sweep that brings paused tasks back dies in the midst of it; each of them goes on, once."""

import signal

import pytest

from agent_tasks import AgentTasks
from agent_tasks.doorbell.lists import OURS
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.sweeps.sweeper import Sweeper
from tests import rows
from tests.processes import Processes

TASKS = BATCH + 100
SWEEP = """
from agent_tasks import AgentTasks
from agent_tasks.sweeps import pauses
from tests.crash import kill_points

while pauses.run_once(AgentTasks()):
    pass
"""
PUT_OFF = "SELECT count(*) FROM agent_tasks.tasks WHERE put_off_by IS NOT NULL"


@pytest.mark.parametrize(
    ("kill_at", "left"),
    [
        ("commit:half-published#250", 100),
        pytest.param("commit:committed", 100, marks=pytest.mark.slow),
        pytest.param("commit:committed#2", 0, marks=pytest.mark.slow),
    ],
)
def test_of_what_was_paused_nothing_is_lost_where_the_sweep_dies_that_brings_it_back(
    client: AgentTasks, processes: Processes, kill_at: str, left: int
) -> None:
    tasks = client.submit_many("count", [{"to": 0}] * TASKS)
    client.pause(agent="count")
    client.redis.delete(*OURS.of("agents"))  # their bells were taken for nothing
    rows.query(client, "UPDATE agent_tasks.tasks SET due_at = clock_timestamp() RETURNING id")
    Sweeper(client).run_due()
    assert rows.query(client, PUT_OFF) == [{"count": TASKS}]
    client.resume_paused(agent="count")
    doomed = processes.python(SWEEP, kill_at=kill_at)
    assert doomed.wait_for_exit() == -signal.SIGKILL, doomed.output
    assert rows.query(client, PUT_OFF) == [{"count": left}]
    assert (client.bells.waiting(["agents"])["agents"] or 0) < TASKS
    processes.fleet()
    assert [task.result(timeout=60) for task in tasks] == [0] * TASKS
    rows.assert_all_ran_once(client, steps=1)
    assert rows.query(client, "SELECT max(run) FROM agent_tasks.tasks") == [{"max": 1}]
