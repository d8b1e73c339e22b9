"""Tasks from submit to result, through real workers."""

import pytest

from agent_tasks import AgentTasks
from tests import rows
from tests.processes import Processes


@pytest.mark.parametrize("pool", ["threads", "prefork"])
@pytest.mark.parametrize("agent", ["count", "count_plain"])
def test_a_chain_of_steps_completes(client: AgentTasks, processes: Processes, pool: str, agent: str) -> None:
    processes.worker(pool=pool, concurrency=2)
    task = client.submit(agent, {"to": 10})
    assert task.result(timeout=30) == 10
    assert task.snapshot().step_number == 11


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_chain_runs_across_two_workers(client: AgentTasks, processes: Processes, pool: str) -> None:
    workers = [processes.worker(pool=pool, concurrency=2, quantum_seconds=0, ready=False) for _ in range(2)]
    processes.wait_until_ready(*workers)
    tasks = client.submit_many("hops", [{"to": 30}] * 4)
    assert [task.result(timeout=30) for task in tasks] == [30] * 4
    claims = rows.query(
        client,
        "SELECT DISTINCT task_id, split_part(data ->> 'worker', '/', 1) AS w FROM agent_tasks.events "
        "WHERE type = 'claimed'",
    )
    assert {row["w"] for row in claims} == {f"{worker.name}@test" for worker in workers}
    assert len(claims) > len(tasks)  # at least one task was handed from one to the other
    rows.assert_all_ran_once(client, steps=31)


def test_a_worker_with_an_interpreter_of_its_own_runs_steps(client: AgentTasks, processes: Processes) -> None:
    processes.worker(fresh=True, mingle=True)
    assert client.submit("count", {"to": 3}).result(timeout=30) == 3
