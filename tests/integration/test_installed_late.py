"""A worker of theirs in which our part did not begin, or is not to hold up what is theirs."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_tasks import AgentTasks
from tests.agents import notes
from tests.conftest import fresh_deployment
from tests.eventually import eventually
from tests.processes import Processes
from tests.shop_processes import begin, shop

BROKEN = {"SHOP_BREAKS": "yes"}
WRONG = {"AGENT_TASKS_AGENTS": "tests.no_such"}
OFF = "no steps are run here, the app's own tasks are"


@pytest.fixture(scope="module")
def deployment(
    server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Processes, AgentTasks]]:
    """A worker that runs steps and no task of theirs, and no sweep that rings for what others lose."""
    with (
        fresh_deployment(server_urls, template) as settings,
        Processes(settings, tmp_path_factory.mktemp("shop")) as processes,
    ):
        client = AgentTasks(settings)
        worker = begin(processes, settings, "-P", "threads", "-Q", "agents,agent-tasks-sweeps", "--without-mingle")
        eventually(lambda: "takes steps" in worker.output)
        yield processes, client
        client.close()


@pytest.mark.parametrize(
    ("pool", "queues", "environment"),
    [
        ("threads", (), BROKEN),
        pytest.param("threads", ("-Q", "shop,agents"), BROKEN, marks=pytest.mark.slow),
        ("prefork", (), BROKEN),
        pytest.param("threads", ("-Q", "shop,agents"), WRONG, marks=pytest.mark.slow),
    ],
)
def test_bells_go_to_workers_whose_part_has_begun_and_their_tasks_go_on(
    deployment: tuple[Processes, AgentTasks],
    tmp_path: Path,
    pool: str,
    queues: tuple[str, ...],
    environment: dict[str, str],
) -> None:
    processes, client = deployment
    worker = begin(processes, client.settings, "-P", pool, "--without-mingle", *queues, **environment)
    tasks = client.submit_many("hops", [{"to": 1}] * 8)
    assert [task.result(timeout=40) for task in tasks] == [1] * 8
    with shop(client.settings) as theirs:
        sent: Any = theirs.send_task("tests.shop.invoice", [str(tmp_path), 7])
        assert sent.get(timeout=20) == "invoice 7"
        if pool == "threads":
            assert OFF in worker.output
            name = f"{worker.name}@test"
            taken = theirs.control.inspect([name], timeout=5).active_queues()[name]
            assert [queue["name"] for queue in taken] == (["shop", "agents"] if queues else ["shop"])
    worker.send(signal.SIGTERM)
    assert worker.wait_for_exit() == 0


def test_a_call_that_never_returns_does_not_hold_up_the_end_of_their_worker(
    deployment: tuple[Processes, AgentTasks], tmp_path: Path
) -> None:
    processes, client = deployment
    # a queue that only this worker takes from
    alone = {"AGENT_TASKS_QUEUE": "alone", "AGENT_TASKS_DRAIN_SECONDS": "0.1"}
    worker = begin(processes, client.settings, "-P", "threads", "-Q", "alone", "--without-mingle", **alone)
    eventually(lambda: "takes steps" in worker.output)
    task = client.submit("shop_endless", {"folder": str(tmp_path)}, queue="alone")
    eventually(lambda: notes(tmp_path))
    worker.send(signal.SIGTERM)
    assert worker.wait_for_exit(20) == 0
    task.cancel()


def test_a_child_that_makes_way_for_a_new_one_is_not_held_up_by_async_steps(
    deployment: tuple[Processes, AgentTasks], tmp_path: Path
) -> None:
    processes, client = deployment
    alone = {"AGENT_TASKS_QUEUE": "alone", "AGENT_TASKS_DRAIN_SECONDS": "600"}
    replaced = ("-P", "prefork", "-c", "1", "--max-tasks-per-child", "2", "-Q", "alone,shop", "--without-mingle")
    worker = begin(processes, client.settings, *replaced, **alone)
    task = client.submit("shop_patient", {"folder": str(tmp_path)}, queue="alone")
    eventually(lambda: notes(tmp_path))
    with shop(client.settings) as theirs:
        pids = [theirs.send_task("tests.shop.process_id").get(timeout=20) for _ in range(2)]
    assert len(set(pids)) == 2
    (tmp_path / "go").touch()
    assert task.result(timeout=20) == len(str(tmp_path))
    worker.kill()
