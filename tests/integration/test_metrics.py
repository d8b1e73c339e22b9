"""The metrics that a worker and a sweeper serve."""

import socket
import urllib.request

import psutil
import pytest

from agent_tasks import AgentTasks
from tests.eventually import eventually
from tests.processes import Processes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def metrics(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
            return response.read().decode()
    except OSError:
        return ""


def test_a_worker_and_a_sweeper_serve_their_metrics(client: AgentTasks, processes: Processes) -> None:
    worker_port, sweeper_port = free_port(), free_port()
    processes.worker(metrics_port=worker_port)
    processes.sweeper(metrics_port=sweeper_port)
    client.submit("count", {"to": 3}).result(timeout=30)
    counted = 'agent_tasks_steps_total{agent="count",outcome="succeeded",step="up"} 4.0'
    eventually(lambda: counted in metrics(worker_port))
    eventually(lambda: "agent_tasks_swept_total" in metrics(sweeper_port))


@pytest.mark.parametrize(("settings_of_it", "address"), [({}, "127.0.0.1"), ({"metrics_host": "0.0.0.0"}, "0.0.0.0")])
def test_metrics_listen_on_this_machine_only_unless_told_otherwise(
    processes: Processes, settings_of_it: dict[str, str], address: str
) -> None:
    port = free_port()
    worker = processes.worker(metrics_port=port, **settings_of_it)
    eventually(lambda: metrics(port))
    listening = [c.laddr for c in psutil.Process(worker.pid).net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert [at.ip for at in listening if at.port == port] == [address]
