"""Our own processes on the broker of a team's app that AGENT_TASKS_APP names."""

import json
import subprocess
import sys

import pytest

from agent_tasks import AgentTasks
from tests.database import query
from tests.processes import Processes

APP = "tests.team_app:app"


def test_workers_and_sweeps_of_ours_ring_and_take_by_the_broker_of_the_app_and_its_options(
    client: AgentTasks, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"global_keyprefix": "shop:", "sep": ":", "priority_steps": [0, 4, 8]}
    shop = {"broker": client.settings.redis_url, "broker_transport_options": options}
    monkeypatch.setenv("SHOP", json.dumps(shop))
    processes.fleet(app=APP)
    task = client.submit("hops", {"to": 3})  # without the app: the bell goes where nobody looks, and the sweep rings
    assert task.result(timeout=40) == 3
    program = "import agent_tasks; print(agent_tasks.submit('hops', {'to': 2}).result(timeout=30))"
    ran = processes.python(program, app=APP)
    assert ran.wait_for_exit() == 0, ran.output
    assert ran.output.split()[-1] == "2"
    assert client.redis.keys("shop:*")


@pytest.mark.parametrize(
    ("app", "installs", "said"),
    [
        ("tests.nowhere:app", "yes", "does not load: ModuleNotFoundError"),
        (APP, "no", "is not installed: call agent_tasks.celery.install(app) in its module"),
    ],
)
def test_an_app_that_cannot_be_used_is_named_and_nothing_is_submitted(
    client: AgentTasks, processes: Processes, monkeypatch: pytest.MonkeyPatch, app: str, installs: str, said: str
) -> None:
    monkeypatch.setenv("SHOP", json.dumps({"broker": client.settings.redis_url}))
    monkeypatch.setenv("SHOP_INSTALLS", installs)
    for command in (["submit", "echo", '{"value": 1}'], ["worker"], ["sweeper"], ["gateway"], ["deliverer"]):
        argv = [sys.executable, "-m", "agent_tasks.cli", *command]
        environment = processes.environment(app=app)
        ran = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (ran.returncode, said in " ".join(ran.stderr.split())) == (2, True), ran.stderr
        assert "Traceback" not in ran.stderr
    assert query(client, "SELECT count(*) AS n FROM agent_tasks.tasks")[0]["n"] == 0
