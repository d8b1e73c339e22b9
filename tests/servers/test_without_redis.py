"""No Redis at all: RabbitMQ is the doorbell, Postgres keeps the status and sends word of it."""

from pathlib import Path

import httpx2
import pytest

from agent_tasks import AgentTasks, Settings
from agent_tasks.client import following
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes
from tests.servers.bouncer import bouncing
from tests.servers.rabbit import Rabbit


@pytest.fixture
def settings(settings: Settings, rabbit: Rabbit, request: pytest.FixtureRequest) -> Settings:
    queue = f"q{abs(hash(request.node.name))}"
    return settings.model_copy(update={"broker_url": rabbit.url, "redis_url": "", "queue": queue})


@pytest.fixture
def clocked(processes: Processes) -> Processes:
    """A worker, and a sweeper that needs no beat."""
    processes.worker()
    processes.clocked_sweeper()
    return processes


def test_a_task_is_submitted_run_signalled_cancelled_and_watched(
    client: AgentTasks, clocked: Processes, tmp_path: Path
) -> None:
    assert client.submit("hops", {"to": 3}).result(timeout=30) == 3
    waits = client.submit("echo", {"waits_for": ["go"], "value": 7})
    eventually(lambda: waits.snapshot().status == "waiting")
    waits.signal("go", 1)
    assert waits.wait(timeout=30).status == "completed"
    assert [event.type for event in waits.events(follow=True, timeout=10)][-1] == "finished"
    running = client.submit("relay", {"folder": str(tmp_path)})
    eventually(lambda: "paid" in notes(tmp_path))
    running.cancel("enough")
    assert running.wait(timeout=10).status == "cancelled"
    assert "Traceback" not in clocked.all[0].output


def test_the_gateway_serves_without_it(client: AgentTasks, clocked: Processes) -> None:
    _, url = clocked.gateway(gateway_auth="off")
    ready = httpx2.get(f"{url}/readyz")
    assert (ready.status_code, ready.json()["checks"]) == (200, {"postgres": "ok", "schema": "ok"})
    made = httpx2.post(f"{url}/tasks", json={"agent": "hops", "input": {"to": 2}})
    events = f"{url}/tasks/{made.json()['id']}/events"
    with httpx2.stream("GET", events, headers={"Accept": "text/event-stream"}, timeout=30) as stream:
        assert "event: end" in list(stream.iter_lines())


def test_behind_a_pooler_waiting_polls(client: AgentTasks, clocked: Processes) -> None:
    with bouncing(client.settings.database_url) as url:
        far = AgentTasks(client.settings.model_copy(update={"database_url": url}))
        task = far.submit("hops", {"to": 2})
        assert task.result(timeout=30) == 2
        assert not far.notices.hears
        assert following.pace(task) == (0.2, 2.0)
        far.close()
