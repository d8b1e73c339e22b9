"""Workers die by SIGKILL; their steps go on elsewhere, from the checkpoint."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from agent_tasks import AgentTasks
from tests import rows
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes, Running


def runs_on(folder: Path, what: str) -> list[int]:
    """The processes that noted `what`, in order."""
    return [int(line.split()[1]) for line in notes(folder) if line.startswith(f"{what} ")]


def owner(workers: list[Running], pid: int) -> Running:
    """The worker that is, or whose child is, the process `pid`."""
    return next(w for w in workers if pid == w.pid or psutil.Process(pid).ppid() == w.pid)


@pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.slow)])
def test_a_killed_workers_step_goes_on_from_its_checkpoint(
    client: AgentTasks, processes: Processes, tmp_path: Path, pool: str
) -> None:
    workers = processes.fleet(workers=2, pool=pool)
    task = client.submit("relay", {"folder": str(tmp_path)})
    (first,) = eventually(lambda: runs_on(tmp_path, "held"))
    eventually(lambda: "paid" in notes(tmp_path))
    eventually(lambda: [c["status"] for c in rows.calls(client, task.id)] == ["completed"])
    owner(workers, first).kill()
    second = eventually(lambda: runs_on(tmp_path, "held")[1:])[0]
    assert second != first
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    assert notes(tmp_path).count("paid") == 1
    assert len(runs_on(tmp_path, "first")) == len(runs_on(tmp_path, "last")) == 1
    assert rows.checkpoints(client, task.id) == [(0, "first"), (1, "held"), (2, "last")]
    assert len(rows.events(client, task.id, "expired")) == 1


@pytest.mark.slow
def test_a_killed_workers_plain_step_runs_again(client: AgentTasks, processes: Processes, tmp_path: Path) -> None:
    workers = processes.fleet(workers=2)
    task = client.submit("relay_plain", {"folder": str(tmp_path)})
    (first,) = eventually(lambda: runs_on(tmp_path, "held"))
    owner(workers, first).kill()
    eventually(lambda: len(runs_on(tmp_path, "held")) == 2)
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    assert rows.checkpoints(client, task.id) == [(0, "held_plain")]


@pytest.mark.slow
def test_a_killed_child_of_a_prefork_worker_is_replaced_and_its_steps_go_on(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (worker,) = processes.fleet(pool="prefork", concurrency=2, lease_seconds=1.0)
    for round_ in range(3):
        folder = tmp_path / str(round_)
        folder.mkdir()
        task = client.submit("relay", {"folder": str(folder)})
        eventually(lambda folder=folder: "paid" in notes(folder))
        os.kill(runs_on(folder, "held")[0], signal.SIGKILL)
        (folder / "go").touch()
        assert task.result(timeout=30) == "done"
        assert notes(folder).count("paid") in (1, 2)  # 2 where it died before the outcome was written
        assert rows.checkpoints(client, task.id) == [(0, "first"), (1, "held"), (2, "last")]
    assert worker.is_alive


def test_children_of_a_killed_prefork_parent_do_not_live_on_as_workers(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (doomed,) = processes.fleet(pool="prefork", concurrency=2, lease_seconds=1.0)
    children = [child.pid for child in psutil.Process(doomed.pid).children()]
    task = client.submit("relay", {"folder": str(tmp_path)})
    eventually(lambda: "paid" in notes(tmp_path))
    doomed.send(signal.SIGKILL)
    processes.worker(pool="prefork", concurrency=2)
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in children))


def test_a_worker_killed_between_commit_and_publish_loses_nothing(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (doomed,) = processes.fleet(kill_at="first:committed", quantum_seconds=0)
    task = client.submit("relay", {"folder": str(tmp_path)})
    (tmp_path / "go").touch()
    assert doomed.wait_for_exit() == -signal.SIGKILL
    assert rows.checkpoints(client, task.id) == [(0, "first")]
    assert rows.task(client, task.id)["status"] == "pending"
    processes.worker()
    assert task.result(timeout=30) == "done"
    assert rows.checkpoints(client, task.id) == [(0, "first"), (1, "held"), (2, "last")]
    assert notes(tmp_path).count("paid") == 1
    assert not rows.events(client, task.id, "expired")


def test_a_step_that_kills_its_process_each_time_takes_one_worker_along_and_ends_as_poison(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (worker,) = processes.fleet(lease_seconds=1.0)
    task = client.submit("killer", {"folder": str(tmp_path)})
    assert worker.wait_for_exit() == -signal.SIGKILL
    worker = processes.worker(lease_seconds=1.0)
    snapshot = task.wait(timeout=30)
    assert snapshot.status == "failed"
    assert snapshot.error is not None
    assert snapshot.error.type == "poison"
    assert snapshot.error.details["crashes"] == 3
    assert len(notes(tmp_path)) == 4, "beside others, perhaps, and three times alone"
    assert worker.is_alive


@pytest.mark.slow
def test_poison_does_not_take_the_steps_beside_it_along(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    processes.fleet(pool="prefork", concurrency=2, lease_seconds=1.0)
    poison = client.submit("killer", {"folder": str(tmp_path)})
    others = client.submit_many("hops", [{"to": 20}] * 20)
    assert poison.wait(timeout=30).error.type == "poison"  # type: ignore[union-attr]
    assert [task.result(timeout=30) for task in others] == [20] * 20
