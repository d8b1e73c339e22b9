"""Steps that do not stop: each costs its slot and no more; a process that lost too many begins again."""

import signal
from pathlib import Path

import psutil
import pytest

from agent_tasks import AgentTasks, Budget
from tests.agents import notes
from tests.crash.test_killed_workers import runs_on
from tests.eventually import eventually
from tests.processes import Processes


def test_a_plain_step_that_never_stops_costs_one_slot_and_is_reported(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (worker,) = processes.fleet(concurrency=4, drain_seconds=1)
    task = client.submit("dies_with_its_slot", {"folder": str(tmp_path)}, budget=Budget(seconds=1))
    snapshot = task.wait(timeout=30)
    assert snapshot.status == "timeout"
    assert snapshot.error is not None
    assert snapshot.error.details["resource"] == "seconds"
    eventually(lambda: "slot lost" in worker.output)
    assert [t.result(timeout=30) for t in client.submit_many("count_plain", [{"to": 3}] * 12)] == [3] * 12
    assert worker.is_alive
    assert "replac" not in worker.output


def test_a_threads_worker_replaces_itself_when_half_its_slots_are_lost(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    worker = processes.worker(concurrency=4, drain_seconds=2)
    processes.wait_until_ready(processes.sweeper(ready=False), processes.beat(ready=False))
    held = tmp_path / "held"
    held.mkdir()
    asynchronous = client.submit("patient", {"folder": str(held)})
    eventually(lambda: runs_on(held, "waits"))
    stuck = client.submit_many("dies_with_its_slot", [{"folder": str(tmp_path)}] * 2, budget=Budget(seconds=1))
    assert [task.wait(timeout=30).status for task in stuck] == ["timeout"] * 2
    eventually(lambda: worker.output.count("takes steps: ") == 2)
    assert worker.is_alive
    assert client.submit("count_plain", {"to": 3}).result(timeout=30) == 3
    eventually(lambda: len(runs_on(held, "waits")) == 2)  # given back, and taken again
    (held / "go").touch()
    assert asynchronous.result(timeout=30) == "done"
    assert runs_on(held, "waits") == [worker.pid] * 2
    assert len(notes(tmp_path)) == 2


@pytest.mark.slow
def test_a_prefork_child_that_lost_its_slot_is_replaced(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (worker,) = processes.fleet(pool="prefork", concurrency=2)
    children = {child.pid for child in psutil.Process(worker.pid).children()}
    task = client.submit("dies_with_its_slot", {"folder": str(tmp_path)}, budget=Budget(seconds=1))
    assert task.wait(timeout=30).status == "timeout"
    (stuck,) = runs_on(tmp_path, "blocks")
    eventually(lambda: not psutil.pid_exists(stuck))
    assert [t.result(timeout=30) for t in client.submit_many("count_plain", [{"to": 3}] * 12)] == [3] * 12
    eventually(lambda: len({c.pid for c in psutil.Process(worker.pid).children()} - children) == 1)


def test_an_async_step_that_swallows_its_cancellation_cannot_commit_and_holds_nobody_up(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    worker = processes.worker(concurrency=2, drain_seconds=1)
    task = client.submit("unstoppable", {"folder": str(tmp_path)}, budget=Budget(seconds=1))
    assert task.wait(timeout=30).status == "timeout"
    assert client.submit("echo", {"value": 1}).result(timeout=30) == 1
    worker.send(signal.SIGTERM)
    assert worker.wait_for_exit() == 0
