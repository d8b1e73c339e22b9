"""The metrics that a worker and a sweeper serve."""

import socket
import urllib.request
from contextlib import suppress
from typing import Any

import psutil
import pytest
from prometheus_client import REGISTRY

from agent_tasks import AgentTasks
from tests import rows
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
    assert "agent_tasks_queue_seconds_count" in metrics(worker_port)
    eventually(lambda: "agent_tasks_swept_total" in metrics(sweeper_port))
    assert "agent_tasks_sweep_lag_seconds" in metrics(sweeper_port)


def counted(name: str, **labels: str) -> float:
    """The value of a metric of this process."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_the_ends_of_tasks_are_counted_where_they_are_committed(client: AgentTasks, processes: Processes) -> None:
    port = free_port()
    processes.worker(metrics_port=port)
    ended = [client.submit("count", {"to": 1}), client.submit("fails")]
    for task in ended:
        task.wait(timeout=30)
    for agent, status in (("count", "completed"), ("fails", "failed")):
        line = f'agent_tasks_task_seconds_count{{agent="{agent}",status="{status}"}} 1.0'
        eventually(lambda line=line: line in metrics(port))
    before = counted("agent_tasks_task_seconds_count", agent="count", status="completed")
    ended[0].acknowledge()
    assert counted("agent_tasks_task_seconds_count", agent="count", status="completed") == before
    cancelled = counted("agent_tasks_task_seconds_count", agent="count", status="cancelled")
    client.submit("count", {"to": 1}, queue="nobody").cancel()
    assert counted("agent_tasks_task_seconds_count", agent="count", status="cancelled") == cancelled + 1


def test_what_steps_spend_how_long_they_wait_and_how_many_run_is_measured(
    client: AgentTasks, processes: Processes
) -> None:
    port = free_port()
    task = client.submit("buyer", {"tokens": 7, "usd": 0.25})
    rows.query(
        client,
        "UPDATE agent_tasks.tasks SET pending_since = pending_since - interval '90 s' WHERE id = %s RETURNING id",
        task.id,
    )
    processes.worker(metrics_port=port)
    assert task.result(timeout=30) == "spent"
    recorder = client.submit("recorder", {"seconds": 60})
    for line in (
        'agent_tasks_spent_usd_total{agent="buyer"} 0.25',
        'agent_tasks_spent_tokens_total{agent="buyer"} 7.0',
        'agent_tasks_step_seconds_count{agent="buyer",step="buyer"} 1.0',
        'agent_tasks_queue_seconds_bucket{le="60.0",queue="agents"} 1.0',
        'agent_tasks_queue_seconds_bucket{le="300.0",queue="agents"} 2.0',
        "agent_tasks_steps_running 1.0",
    ):
        eventually(lambda line=line: line in metrics(port), 30)
    recorder.cancel()
    eventually(lambda: "agent_tasks_steps_running 0.0" in metrics(port), 30)


def test_each_task_that_is_accepted_is_counted_once(client: AgentTasks) -> None:
    before = counted("agent_tasks_submitted_total", agent="count")
    for _ in range(2):
        client.submit("count", {"to": 1}, idempotency_key="the same")
    client.submit_many("count", [{"to": 1}, {"to": 2}])
    assert counted("agent_tasks_submitted_total", agent="count") == before + 3
    with suppress(ZeroDivisionError), client.database.transaction() as connection:
        client.submit("count", {"to": 1}, connection=connection)
        raise ZeroDivisionError
    with client.database.transaction() as connection:
        client.submit("count", {"to": 1}, connection=connection)
    eventually(lambda: counted("agent_tasks_submitted_total", agent="count") == before + 4)


@pytest.mark.parametrize(("settings_of_it", "address"), [({}, "127.0.0.1"), ({"metrics_host": "0.0.0.0"}, "0.0.0.0")])
def test_metrics_listen_on_this_machine_only_unless_told_otherwise(
    processes: Processes, settings_of_it: dict[str, str], address: str
) -> None:
    port = free_port()
    worker = processes.worker(metrics_port=port, **settings_of_it)
    eventually(lambda: metrics(port))
    of_all = psutil.net_connections("inet")
    listening: list[Any] = [c.laddr for c in of_all if c.pid == worker.pid and c.status == psutil.CONN_LISTEN]
    assert [at.ip for at in listening if at.port == port] == [address]


@pytest.mark.slow
def test_the_prefork_pool_counts_what_its_children_run_without_being_set_up(
    client: AgentTasks, processes: Processes
) -> None:
    port = free_port()
    processes.worker(pool="prefork", fresh=True, metrics_port=port)
    client.submit("count", {"to": 3}).result(timeout=60)
    eventually(lambda: 'agent_tasks_steps_total{agent="count",outcome="succeeded",step="up"} 4.0' in metrics(port))
    assert 'agent_tasks_ended_total{agent="count",error="",status="completed"} 1.0' in metrics(port)
