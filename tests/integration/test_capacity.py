"""Threads, room on the loop and connections: what a worker has of them, and what steps can take from others."""

from pathlib import Path

import pytest

from agent_tasks import AgentTasks, Budget
from tests import rows
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes


def test_plain_calls_that_hang_starve_nobody(client: AgentTasks, processes: Processes, tmp_path: Path) -> None:
    """More of them than asyncio's own executor has threads, on any machine."""
    (worker,) = processes.fleet(concurrency=4)
    hung = client.submit_many("blocking_plain_call", [{"folder": str(tmp_path)}] * 40, budget=Budget(seconds=2))
    assert [task.wait(timeout=40).status for task in hung] == ["timeout"] * 40
    assert client.submit("quick_plain_call").wait(timeout=30).status == "completed"
    eventually(lambda: "plain calls still run after their steps ended: calls=40" in worker.output)
    assert worker.output.count("started: ") + worker.output.count("takes steps: ") == 1
    (tmp_path / "go").touch()


def test_a_process_most_of_whose_threads_hang_in_plain_calls_replaces_itself(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (worker,) = processes.fleet(concurrency=4, call_threads=4, drain_seconds=1)
    hung = client.submit_many("blocking_plain_call", [{"folder": str(tmp_path)}] * 2, budget=Budget(seconds=1))
    assert [task.wait(timeout=30).status for task in hung] == ["timeout"] * 2
    eventually(lambda: "process replaced: too many threads are lost" in worker.output)
    assert client.submit("quick_plain_call").wait(timeout=40).status == "completed"


def test_a_full_worker_claims_no_async_step_that_it_cannot_run(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    """Its plain steps go on all the same, and another worker runs the async ones."""
    processes.worker(concurrency=2, async_steps=1)
    client.submit("patient", {"folder": str(tmp_path)})
    eventually(lambda: notes(tmp_path))
    victims = client.submit_many("count", [{"to": 0}] * 4, budget=Budget(seconds=2))
    plain = client.submit_many("count_plain", [{"to": 0}] * 8)
    assert [task.result(timeout=30) for task in plain] == [0] * 8
    assert {rows.task(client, task.id)["run"] for task in victims} == {0}
    processes.worker(concurrency=2)
    assert [task.result(timeout=30) for task in victims] == [0] * 4
    assert {rows.task(client, task.id)["run"] for task in victims} == {1}
    (tmp_path / "go").touch()


@pytest.mark.parametrize("agent", ["asks_database", "asks_database_plainly"])
def test_connections_of_threads_that_were_dropped_are_found_anew_by_what_surrounds_the_code(
    client: AgentTasks, processes: Processes, tmp_path: Path, agent: str
) -> None:
    processes.worker(concurrency=1, agents=(*client.settings.agents, "tests.agents_surrounded"))
    first = client.submit(agent, {"folder": str(tmp_path)}).result(timeout=30)
    (tmp_path / "drops").write_text("x")
    again = client.submit(agent, {"folder": str(tmp_path)}).result(timeout=30)
    assert set(first) & set(again), "the same threads, whose connections had been dropped"


def test_async_steps_and_their_async_calls_are_surrounded_on_the_loop(client: AgentTasks, processes: Processes) -> None:
    processes.worker(concurrency=1, agents=(*client.settings.agents, "tests.agents_surrounded"))
    for _ in range(2):
        found = client.submit("surrounded").result(timeout=30)
        assert found == ["nobody and somebody", "nobody and somebody and somebody"]
