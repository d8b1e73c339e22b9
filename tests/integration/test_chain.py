"""Tasks from submit to result, through real workers."""

import pytest

from agent_tasks import AgentTasks
from tests.processes import Processes


@pytest.mark.parametrize("pool", ["threads", "prefork"])
@pytest.mark.parametrize("agent", ["count", "count_plain"])
def test_a_chain_of_steps_completes(client: AgentTasks, processes: Processes, pool: str, agent: str) -> None:
    processes.worker(pool=pool, concurrency=2)
    task = client.submit(agent, {"to": 10})
    assert task.result(timeout=10) == 10
    assert task.snapshot().step_number == 11
