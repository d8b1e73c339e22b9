"""`install(app)`: the workers of a team's own Celery app run steps beside its tasks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_tasks import AgentTasks
from tests.agents import notes
from tests.conftest import fresh_deployment
from tests.eventually import eventually
from tests.processes import Processes
from tests.shop_processes import beat, begin, shop


@pytest.fixture(scope="module")
def deployment(
    server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Processes, AgentTasks]]:
    with (
        fresh_deployment(server_urls, template) as settings,
        Processes(settings, tmp_path_factory.mktemp("shop")) as processes,
    ):
        client = AgentTasks(settings)
        yield processes, client
        client.close()


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_of_theirs_runs_steps_beside_their_tasks_and_what_steps_send_goes_to_their_app(
    deployment: tuple[Processes, AgentTasks], tmp_path: Path, pool: str
) -> None:
    processes, client = deployment
    worker = begin(processes, client.settings, "-P", pool)
    eventually(lambda: "takes steps" in worker.output)
    task = client.submit("shop_orders", {"folder": str(tmp_path), "order": 1})
    assert task.result(timeout=20) == 1
    with shop(client.settings) as theirs:
        sent: Any = theirs.send_task("tests.shop.invoice", [str(tmp_path), 7], queue="shop")
        assert sent.get(timeout=20) == "invoice 7"
    expected = sorted(["mail 1", "mail 2", "mail 3", "invoice 1", "invoice 7"])
    eventually(lambda: sorted(notes(tmp_path)) == expected)
    worker.send(15)
    assert worker.wait_for_exit() == 0


def test_under_gevent_steps_and_their_tasks_have_a_loop_each(
    deployment: tuple[Processes, AgentTasks], tmp_path: Path
) -> None:
    processes, client = deployment
    worker = begin(processes, client.settings, "-P", "gevent", fresh=True)
    eventually(lambda: "takes steps" in worker.output)
    task = client.submit("shop_patient", {"folder": str(tmp_path)})
    eventually(lambda: notes(tmp_path))
    with shop(client.settings) as theirs:
        loop: Any = theirs.send_task("tests.shop.run_a_loop", [0.1], queue="shop")
        assert loop.get(timeout=20) == "looped"  # gevent lets one greenlet of theirs have a loop at a time
    (tmp_path / "go").touch()
    assert task.result(timeout=20) == len(str(tmp_path))
    worker.send(15)
    assert worker.wait_for_exit() == 0


@pytest.mark.parametrize("embedded", [True, False])
def test_their_beat_ticks_for_the_sweeps_that_their_worker_does(
    deployment: tuple[Processes, AgentTasks], tmp_path: Path, embedded: bool
) -> None:
    processes, client = deployment
    file = ["-s", str(tmp_path / "schedule")]
    worker = begin(processes, client.settings, "-P", "prefork", *(["-B", *file] if embedded else []))
    clock = None if embedded else beat(processes, client.settings, *file)
    assert client.submit("sleeper", {"seconds": 0.2}).result(timeout=20)
    for process in filter(None, (clock, worker)):
        assert "agent_tasks.sweep[" not in process.output
        assert "Traceback" not in process.output
        process.send(15)
        assert process.wait_for_exit() == 0
