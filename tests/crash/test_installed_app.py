"""A team's tasks are delivered and waited for as without `install`, and steps survive what kills their workers."""

import signal
from pathlib import Path
from typing import Any

import pytest

from agent_tasks import AgentTasks, Settings
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes, Running
from tests.shop_processes import begin, shop


def begun(folder: Path) -> int:
    return notes(folder).count("holds")


@pytest.mark.slow
@pytest.mark.parametrize("alone", ["1", ""])
def test_what_a_killed_worker_of_theirs_had_not_acknowledged_is_delivered_again(
    processes: Processes, settings: Settings, tmp_path: Path, alone: str
) -> None:
    worker = begin(processes, settings, "-P", "prefork", SHOP_ALONE=alone)
    with shop(settings) as theirs:
        sent: Any = theirs.send_task("tests.shop.hold", [str(tmp_path)])
        eventually(lambda: begun(tmp_path) == 1)
        worker.kill()
        (tmp_path / "go").touch()
        begin(processes, settings, "-P", "prefork", SHOP_ALONE=alone)
        assert sent.get(timeout=30) == "held"
    assert begun(tmp_path) == 2


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_that_is_told_to_end_waits_for_their_task_however_long_our_drain_is(
    processes: Processes, settings: Settings, client: AgentTasks, tmp_path: Path, pool: str
) -> None:
    worker = begin(processes, settings, "-P", pool, AGENT_TASKS_DRAIN_SECONDS="0.2")
    eventually(lambda: "takes steps" in worker.output)
    with shop(settings) as theirs:
        sent: Any = theirs.send_task("tests.shop.hold", [str(tmp_path)])
        eventually(lambda: begun(tmp_path) == 1)
        worker.send(signal.SIGTERM)
        eventually(lambda: "Warm shutdown" in worker.output)
        with pytest.raises(TimeoutError):
            worker_ended(worker, 5)
        (tmp_path / "go").touch()
        assert sent.get(timeout=30) == "held"
    assert worker.wait_for_exit() == 0
    assert notes(tmp_path) == ["holds", "held"]


def worker_ended(worker: Running, seconds: float) -> None:
    """Raise TimeoutError if it has not ended within the seconds, longer than any drain of ours takes here."""
    try:
        eventually(lambda: not worker.is_alive, seconds)
    except AssertionError:
        raise TimeoutError from None


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_step_that_killed_a_worker_of_theirs_is_run_apart_in_its_app(
    client: AgentTasks, processes: Processes, tmp_path: Path, pool: str
) -> None:
    worker = begin(processes, client.settings, "-P", pool)
    eventually(lambda: "takes steps" in worker.output)
    processes.sweeper()
    processes.beat()
    task = client.submit("shop_deadly", {"folder": str(tmp_path)})
    eventually(lambda: "dies" in notes(tmp_path))
    if pool == "threads":
        worker.wait_for_exit()
        begin(processes, client.settings, "-P", pool)
    assert task.result(timeout=40) == ["shop", 2]
    assert any("a process begins for suspect steps" in process.output for process in processes.all)


@pytest.mark.slow
def test_a_time_limit_of_the_app_ends_no_step(client: AgentTasks, processes: Processes) -> None:
    begin(processes, client.settings, "-P", "prefork", SHOP_TIME_LIMIT="1")
    assert client.submit("shop_slow", {"seconds": 2}).result(timeout=30) == "slept"


def test_a_signal_to_all_processes_of_their_worker_ends_no_task_in_the_midst_of_its_step(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    worker = begin(processes, client.settings, "-P", "prefork", AGENT_TASKS_LEASE_SECONDS="600")
    eventually(lambda: "takes steps" in worker.output)
    task = client.submit("shop_held", {"folder": str(tmp_path)})
    eventually(lambda: begun(tmp_path) == 1)
    worker.send_all(signal.SIGTERM)
    worker.wait_for_exit()
    (tmp_path / "go").touch()
    begin(processes, client.settings, "-P", "prefork")
    assert task.result(timeout=30) == "held"
    assert begun(tmp_path) == 2


@pytest.mark.slow
def test_where_each_process_of_theirs_takes_one_message_a_step_of_any_length_has_one_for_itself(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    one = ("-P", "prefork", "--max-tasks-per-child", "1")
    worker = begin(processes, client.settings, *one, AGENT_TASKS_DRAIN_SECONDS="0.1")
    task = client.submit("shop_patient", {"folder": str(tmp_path)})
    eventually(lambda: notes(tmp_path))
    assert client.submit("shop_slow", {"seconds": 0.5}).result(timeout=30) == "slept"
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == len(str(tmp_path))
    assert notes(tmp_path) == ["idles"]
    worker.send(signal.SIGTERM)
    assert worker.wait_for_exit() == 0
