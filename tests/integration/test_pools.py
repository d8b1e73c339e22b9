"""The two pools: how many steps a process holds, and where its functions run."""

from pathlib import Path

import psutil
import pytest

from agent_tasks import AgentTasks
from tests import rows
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes

pools = pytest.mark.parametrize("pool", ["threads", "prefork"])


@pools
def test_the_pool_that_is_asked_for_is_the_one_that_runs(processes: Processes, pool: str) -> None:
    worker = processes.worker(pool=pool, concurrency=3)
    assert len(psutil.Process(worker.pid).children()) == {"threads": 0, "prefork": 3}[pool]


def test_threads_are_the_default(processes: Processes) -> None:
    worker = processes.celery("workers", ["worker", "-n", "worker0@test", "--without-mingle"])
    eventually(lambda: "celery@worker0 ready" in worker.output or "(thread" in worker.output)
    assert "(thread)" in worker.output


def test_one_process_holds_three_hundred_async_steps_and_keeps_their_leases(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    processes.fleet(concurrency=4, lease_seconds=4.0)
    tasks = client.submit_many("patient", [{"folder": str(tmp_path)}] * 300)
    eventually(lambda: len(notes(tmp_path)) == 300)
    (began,) = rows.query(client, "SELECT clock_timestamp() AS at")
    held = """
        SELECT count(*) AS running, count(*) FILTER (WHERE due_at > clock_timestamp()) AS alive,
            clock_timestamp() - %s > interval '5 s' AS over FROM agent_tasks.tasks WHERE status = 'running'
        """

    def longer_than_a_lease() -> bool:
        (now,) = rows.query(client, held, began["at"])
        assert (now["running"], now["alive"]) == (300, 300)
        return now["over"]

    eventually(longer_than_a_lease)
    (tmp_path / "go").touch()
    assert [task.result(timeout=30) for task in tasks] == ["done"] * 300
    rows.assert_all_ran_once(client, steps=1)


def test_no_more_async_steps_are_held_than_allowed(client: AgentTasks, processes: Processes, tmp_path: Path) -> None:
    processes.fleet(concurrency=2, async_steps=5)
    tasks = client.submit_many("patient", [{"folder": str(tmp_path)}] * 20)
    eventually(lambda: len(notes(tmp_path)) == 5)
    assert len(notes(tmp_path)) == 5
    (tmp_path / "go").touch()
    assert [task.result(timeout=20) for task in tasks] == ["done"] * 20


def test_a_freed_slot_takes_the_next_message_at_once(client: AgentTasks, processes: Processes) -> None:
    """Not after the second that Celery's loop would sleep: then 60 messages on 2 slots take half a minute."""
    processes.worker(concurrency=2, quantum_seconds=0)
    tasks = client.submit_many("count_plain", [{"to": 2}] * 20)
    assert [task.result(timeout=10) for task in tasks] == [2] * 20


@pools
@pytest.mark.parametrize("agent", ["plain_calls_async", "async_calls_plain"])
def test_a_step_calls_functions_of_both_kinds_in_its_own_process(
    client: AgentTasks, processes: Processes, pool: str, agent: str
) -> None:
    processes.worker(pool=pool, concurrency=2)
    first, second, own = client.submit(agent).result(timeout=10)
    assert first == second == own


@pytest.mark.slow
def test_a_step_that_writes_all_the_time_keeps_its_lease(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    processes.fleet(lease_seconds=1.0)
    tasks = client.submit_many("chatty", [{"folder": str(tmp_path)}] * 3)
    eventually(
        lambda: rows.query(client, "SELECT min(spent_tokens) > 1000 AS much FROM agent_tasks.tasks")[0]["much"], 60
    )
    (tmp_path / "go").touch()
    assert [task.result(timeout=20) for task in tasks] == ["done"] * 3
    assert rows.query(client, "SELECT max(run) FROM agent_tasks.tasks") == [{"max": 1}]
