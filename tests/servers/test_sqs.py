"""SQS as the doorbell, by a stand-in, with Redis for the status: kombu's own transport carries bells."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_tasks import AgentTasks, Settings
from agent_tasks.doorbell.installed import Installed, set_installed
from tests import rows
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes
from tests.servers.sqs import Sqs, standing_in
from tests.servers.test_redis_urls import doctor
from tests.team_app import made

pytest.importorskip("boto3", reason="the tools of the tests are not installed")
pytest.importorskip("pycurl", reason="the tools of the tests are not installed")
APP = "tests.team_app:app"
WHY = "the broker's transport is kombu.transport.SQS.Transport"


@pytest.fixture
def sqs() -> Iterator[Sqs]:
    with standing_in() as server:
        yield server


@pytest.fixture
def team(sqs: Sqs) -> Iterator[dict[str, Any]]:
    """What a team's app says whose queues are made for it, and by no program."""
    names = ("agents", "agent-tasks-sweeps", "celery")
    sqs.queues |= {name: [] for name in names}
    queues = {name: {"url": sqs.url(name)} for name in names}
    options = {"region": "eu-west-1", "wait_time_seconds": 1, "predefined_queues": queues}
    yield {"broker": sqs.broker, "broker_transport_options": options, "worker_enable_remote_control": False}
    set_installed(None)


def test_an_installed_app_with_predefined_queues_runs_steps_and_its_bells_are_its_producers(
    client: AgentTasks, processes: Processes, sqs: Sqs, team: dict[str, Any]
) -> None:
    set_installed(Installed(made(**team), None, "shop"))
    assert (client.bells.path, client.bells.why) == ("producer", WHY)
    tasks = client.submit_many("hops", [{"to": 2}] * 5)
    eventually(lambda: client.bells.waiting(["agents"]) == {"agents": 5})
    environment = {**processes.environment(), "SHOP": json.dumps(team)}
    processes.app(APP, ["worker", "-n", "worker0@test", "-P", "threads", "-c", "4", "-l", "INFO"], environment)
    assert [task.result(timeout=40) for task in tasks] == [2] * 5
    eventually(lambda: not sqs.queues["agents"])
    assert client.redis.keys("agents*") == []
    assert "CreateQueue" not in sqs.asked


def test_processes_of_ours_on_an_endpoint_make_their_queues_and_a_worker_killed_in_a_step_loses_nothing(
    settings: Settings, processes: Processes, sqs: Sqs, tmp_path: Path
) -> None:
    client = AgentTasks(settings.model_copy(update={"broker_url": sqs.broker}))
    (worker,) = processes.fleet(broker_url=sqs.broker)
    task = client.submit("relay", {"folder": str(tmp_path)})
    eventually(lambda: rows.is_paid(client), 20)
    worker.kill()
    processes.worker(broker_url=sqs.broker)
    (tmp_path / "go").touch()
    assert task.result(timeout=40) == "done"
    assert notes(tmp_path).count("paid") == 1
    processes.settings = client.settings
    assert f"by the app's producer, since {WHY}" in doctor(processes, settings.redis_url)
    client.close()
