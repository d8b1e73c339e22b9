"""What ran when a process died is suspect, and runs apart until it commits: innocents come through, poison is found."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest

from agent_tasks import AgentTasks
from tests import rows
from tests.agents import notes
from tests.crash.test_blocked_loops import folders
from tests.eventually import eventually
from tests.processes import Processes

OTHERS = ("exit", "group", "segfault")


@contextmanager
def supervised(processes: Processes, **options: object) -> Iterator[None]:
    """A worker is started in the place of each that dies."""
    over = Event()

    def watch() -> None:
        while not over.wait(0.1):
            if not any(p.is_alive for p in processes.all if p.name.startswith("worker")):
                processes.worker(ready=False, **options)  # type: ignore[arg-type]

    thread = Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def innocents(folder: Path) -> list[list[str]]:
    return [line.split()[1:] for line in notes(folder) if line.startswith("innocent ")]


@pytest.mark.parametrize("how", ["kill", *(pytest.param(how, marks=pytest.mark.slow) for how in OTHERS)])
def test_five_innocents_beside_a_step_that_kills_its_worker_each_time_complete(
    client: AgentTasks, processes: Processes, tmp_path: Path, how: str
) -> None:
    processes.fleet(concurrency=4, lease_seconds=5.0)  # no lease may be lost but by a death
    folder = str(tmp_path)
    beside = client.submit_many("innocent", [{"folder": folder}] * 4)
    beside.append(client.submit("innocent_plain", {"folder": folder}))
    eventually(lambda: len(innocents(tmp_path)) == 5)
    for task in beside[:4]:
        eventually(lambda task=task: [call["finished_at"] for call in rows.calls(client, task.id)] not in ([], [None]))
    with supervised(processes, concurrency=4, lease_seconds=5.0):
        bad = client.submit("assassin", {"folder": folder, "how": how})
        eventually(lambda: len(notes(tmp_path)) > 10)
        (tmp_path / "go").touch()
        assert all(task.result(timeout=60) for task in beside)
        snapshot = bad.wait(timeout=60)
    assert snapshot.error is not None
    assert (snapshot.error.type, snapshot.error.details["crashes"]) == ("poison", 3)
    killed = [line.split()[1] for line in notes(tmp_path) if line.startswith("assassin ")]
    assert len(killed) == len(set(killed)) == 4, "beside others, and three times alone"
    assert len(innocents(tmp_path)) == 10, "each has lost one try"
    assert {attempt for _, attempt in innocents(tmp_path)} == {"1"}, "which counts for nothing"
    assert notes(tmp_path).count("paid") == 4, "recorded calls are not made again"
    for task in beside:
        row = rows.task(client, task.id)
        assert (row["crashes"], row["run"], row["attempt"], row["uncounted"]) == (0, 2, 1, 1)


@pytest.mark.slow
def test_all_that_ran_in_a_worker_that_was_killed_goes_on_in_a_few_processes_that_end_when_there_is_no_more(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (worker,) = processes.fleet(concurrency=4)
    tasks = client.submit_many("innocent", [{"folder": str(tmp_path)}] * 30)
    eventually(lambda: len(innocents(tmp_path)) == 30)
    worker.kill()
    (tmp_path / "go").touch()
    processes.worker(concurrency=4, quarantine_processes=2)
    ran_in = {task.result(timeout=60) for task in tasks}
    assert worker.pid not in ran_in
    assert len(ran_in) in (1, 2)
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in ran_in))
    assert len(innocents(tmp_path)) == 60


def test_a_suspect_step_is_cleared_by_its_first_commit_and_goes_on_in_a_worker(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (worker,) = processes.fleet(concurrency=2)
    task = client.submit("relay", {"folder": str(tmp_path)})
    eventually(lambda: "paid" in notes(tmp_path))
    worker.kill()
    worker = processes.worker(concurrency=2)
    eventually(lambda: len([line for line in notes(tmp_path) if line.startswith("held")]) == 2)
    assert task.stored().suspect
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    found = dict(line.split() for line in notes(tmp_path) if " " in line)
    assert int(found["held"]) != worker.pid
    assert int(found["last"]) == worker.pid
    assert not task.stored().suspect


def test_a_suspect_step_that_runs_for_long_gets_company_in_its_process(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (worker,) = processes.fleet(concurrency=2)
    tasks = client.submit_many("innocent", [{"folder": str(tmp_path)}] * 2)
    eventually(lambda: len(innocents(tmp_path)) == 2)
    worker.kill()
    processes.worker(concurrency=2, quarantine_processes=1, agents=(*processes.settings.agents, "tests.crash.sociable"))
    eventually(lambda: len(innocents(tmp_path)) == 4)
    assert [task.stored().status for task in tasks] == ["running"] * 2
    (tmp_path / "go").touch()
    ran_in = {task.result(timeout=30) for task in tasks}
    assert len(ran_in) == 1
    assert worker.pid not in ran_in


@pytest.mark.slow
def test_a_process_of_the_quarantine_ends_with_its_worker_and_gives_its_step_back(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    """It is no crash of the step, however often; only its process's own death would be."""
    (worker,) = processes.fleet(concurrency=2)
    task = client.submit("innocent", {"folder": str(tmp_path)})
    for number in range(1, 6):
        eventually(lambda number=number: len(innocents(tmp_path)) == number)
        if number == 5:
            break
        worker.kill()
        worker = processes.worker(concurrency=2)
    (tmp_path / "go").touch()
    pid = task.result(timeout=30)
    assert rows.task(client, task.id)["crashes"] == 0
    eventually(lambda: not psutil.pid_exists(pid))


@pytest.mark.slow
def test_a_worker_that_stops_lets_its_quarantine_finish_for_the_time_of_a_drain(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (worker,) = processes.fleet(concurrency=2)
    finishing, lasting = folders(tmp_path, "finishing", "lasting")
    tasks = [client.submit("innocent", {"folder": str(folder)}) for folder in (finishing, lasting)]
    eventually(lambda: len(innocents(finishing) + innocents(lasting)) == 2)
    worker.kill()
    worker = processes.worker(concurrency=2)
    eventually(lambda: len(innocents(finishing) + innocents(lasting)) == 4)
    worker.send(signal.SIGTERM)
    (finishing / "go").touch()
    assert tasks[0].result(timeout=30)
    assert worker.wait_for_exit() == 0
    row = rows.task(client, tasks[1].id)
    assert (row["status"], row["crashes"], row["suspect"]) == ("pending", 0, 1)
    pids = [int(pid) for pid, _ in innocents(finishing) + innocents(lasting)]
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.slow
def test_steps_of_a_prefork_worker_are_run_apart_too(client: AgentTasks, processes: Processes, tmp_path: Path) -> None:
    processes.fleet(pool="prefork", concurrency=1)
    beside = client.submit("innocent", {"folder": str(tmp_path)})
    eventually(lambda: innocents(tmp_path))
    bad = client.submit("assassin", {"folder": str(tmp_path)})
    eventually(lambda: len(innocents(tmp_path)) == 2)
    (tmp_path / "go").touch()
    assert beside.result(timeout=30)
    assert bad.wait(timeout=30).error.type == "poison"  # type: ignore[union-attr]
    assert rows.task(client, beside.id)["crashes"] == 0
