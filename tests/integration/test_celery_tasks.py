"""`ctx.task`: a step sends a task of the team's app to its own queue, and is parked until that has ended."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_tasks import AgentTasks, UpstreamUnavailable
from agent_tasks.task.arguments import TASK_SIGNALS
from tests.agents import notes
from tests.conftest import fresh_deployment
from tests.eventually import eventually
from tests.processes import Processes, Running
from tests.shop_processes import begin


@pytest.fixture(scope="module")
def shop(
    server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Processes, AgentTasks, Running]]:
    """A worker that takes the shop's tasks only, one that takes steps only, which is the last here, and a client."""
    with (
        fresh_deployment(server_urls, template) as settings,
        Processes(settings, tmp_path_factory.mktemp("shop")) as processes,
    ):
        client = AgentTasks(settings)
        begin(processes, settings, "-P", "threads", "-Q", "shop")
        yield processes, client, serving(processes, client)
        client.close()


def serving(processes: Processes, client: AgentTasks) -> Running:
    worker = begin(processes, client.settings, "-P", "prefork", "-B", "-Q", "agents,agent-tasks-sweeps")
    eventually(lambda: "takes steps" in worker.output)
    return worker


def test_a_step_gets_results_of_tasks_and_their_own_errors(
    shop: tuple[Processes, AgentTasks, Running], tmp_path: Path
) -> None:
    _, client, _ = shop
    task = client.submit("shop_sender", {"folder": str(tmp_path)})
    assert task.result(timeout=20) == [["price", 1], "invoice 2", 1, [3]]
    assert sorted(notes(tmp_path)) == ["decline 3", "fickle 0", "fickle 1", "invoice 2", "price 1"]


def test_a_failure_that_ends_a_try_is_followed_by_another_task(
    shop: tuple[Processes, AgentTasks, Running], tmp_path: Path
) -> None:
    _, client, _ = shop
    task = client.submit("shop_stubborn", {"folder": str(tmp_path)})
    task.wait(timeout=20)
    error = task.snapshot().error
    assert error is not None
    assert "Declined" in error.message
    assert notes(tmp_path) == ["decline 4", "decline 4"]


def test_a_task_that_is_not_heard_of_in_time_has_an_unknown_outcome(
    shop: tuple[Processes, AgentTasks, Running], tmp_path: Path
) -> None:
    _, client, _ = shop
    task = client.submit("shop_hasty", {"folder": str(tmp_path)})
    with pytest.raises(UpstreamUnavailable, match=r"not heard of for 0\.2 seconds, so that its outcome is unknown"):
        task.result(timeout=20)
    (tmp_path / "never").touch()


def test_a_step_whose_worker_is_killed_while_it_is_parked_goes_on_in_another(
    shop: tuple[Processes, AgentTasks, Running], tmp_path: Path
) -> None:
    processes, client, worker = shop
    task = client.submit("shop_parked", {"folder": str(tmp_path), "name": "go"})
    eventually(lambda: task.snapshot().status == "waiting" and len(notes(tmp_path)) == 2)
    waiting = task.snapshot().waiting_for
    assert waiting is not None
    assert waiting.names[0].startswith(f"{TASK_SIGNALS}tests.shop.wait_for:")
    worker.kill()
    (tmp_path / "go").touch()
    serving(processes, client)
    assert task.result(timeout=20) == "go"
    assert notes(tmp_path) == ["begins go", "waits for go", "begins go"]
