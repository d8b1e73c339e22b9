"""`agent-tasks deliverer` as a process: how it starts, what it says, what it does without Postgres, and how it ends."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent_tasks import AgentTasks
from agent_tasks.cli.checks import Finding, all_checks, deliverer_check
from tests.conftest import Fragile
from tests.database import query
from tests.eventually import eventually
from tests.integration.test_metrics import free_port, metrics
from tests.processes import Processes
from tests.webhooks.delivering import deliveries, ended_well, endpoint, told
from tests.webhooks.receiver import receiving


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_when_it_is_told_to(client: AgentTasks, processes: Processes, number: int) -> None:
    with receiving() as receiver:
        endpoint(client, f"{receiver.url}/a")
        deliverer = processes.deliverer()
        told(client)
        ended_well(client)
        deliverer.send(number)
        assert deliverer.wait_for_exit(20) == 0
    assert "deliverer ends" in deliverer.output
    assert "Traceback" not in deliverer.output


def test_one_that_is_told_to_end_while_a_receiver_hangs_gives_the_delivery_back(
    client: AgentTasks, processes: Processes
) -> None:
    with receiving(a=["hang", 204]) as receiver:
        endpoint(client, f"{receiver.url}/a")
        told(client)
        deliverer = processes.deliverer(webhook_seconds=30.0)
        eventually(lambda: receiver.at("/a"))
        deliverer.send(signal.SIGTERM)
        assert deliverer.wait_for_exit(20) == 0
        processes.deliverer()
        ended_well(client)


def test_it_counts_what_it_does_and_says_what_failed(client: AgentTasks, processes: Processes) -> None:
    port = free_port()
    with receiving(a=[500, 204]) as receiver:
        hook = endpoint(client, f"{receiver.url}/a")
        deliverer = processes.deliverer(metrics_port=port)
        told(client)
        ended_well(client)
        eventually(lambda: 'agent_tasks_deliveries_total{outcome="delivered"} 1.0' in metrics(port))
        eventually(lambda: 'agent_tasks_deliveries_total{outcome="retried"} 1.0' in metrics(port))
        assert "agent_tasks_delivery_seconds_count 1.0" in metrics(port)
        eventually(lambda: "agent_tasks_deliveries_in_flight 0.0" in metrics(port))
    (row,) = deliveries(client)
    said = (
        f"delivery failed: delivery={row['id']} lane=webhook:{hook} type=task.submitted attempt=1 error=it answered 500"
    )
    assert said in deliverer.output


def test_doctor_sees_whether_one_looks_and_whether_one_is_needed(
    client: AgentTasks, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", client.settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", client.settings.redis_url)
    assert (deliverer_check().ok, deliverer_check().text) == (False, "no deliverer has ever run")
    assert webhooks_found() == Finding("webhooks", True, "no deliverer runs, and nothing waits for one")
    with receiving() as receiver:
        endpoint(client, f"{receiver.url}/a")
        told(client)
        assert webhooks_found() == replace(deliverer_check(), action="start one: agent-tasks deliverer")
        processes.deliverer()
        eventually(lambda: deliverer_check().ok)
        ended_well(client)
    query(client, "UPDATE agent_tasks.watches SET last_at = last_at - interval '2 minutes'")
    assert "a deliverer last looked 12" in deliverer_check().text


def webhooks_found() -> Finding:
    (found,) = [finding for finding in all_checks() if finding.name == "webhooks"]
    return found


def test_without_the_extra_it_says_what_to_install(processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "standardwebhooks.py").write_text("raise ModuleNotFoundError(name='standardwebhooks')")
    environment = {**processes.environment(), "PYTHONPATH": str(tmp_path)}
    argv = [sys.executable, "-m", "agent_tasks.cli", "deliverer"]
    ended = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr.strip() == "error: The deliverer is not installed: pip install 'agent-tasks[http]'."


@pytest.mark.slow
def test_it_goes_on_where_postgres_was_away(fragile: Fragile) -> None:
    with receiving() as receiver:
        endpoint(fragile.client, f"{receiver.url}/a")
        deliverer = fragile.processes.deliverer()
        told(fragile.client)
        ended_well(fragile.client)
        pid = fragile.servers.postgres.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: "Postgres cannot be reached" in deliverer.output, 60)
        fragile.servers.postgres.start()
        told(fragile.client)
        ended_well(fragile.client, 60)
        deliverer.send(signal.SIGTERM)
        assert deliverer.wait_for_exit(20) == 0
    assert "Traceback" not in deliverer.output
