"""`celery control cancel_consumer` pauses a queue: it stays so until `add_consumer`, whatever the process does."""

from pathlib import Path
from typing import Any

from agent_tasks import AgentTasks
from agent_tasks.doorbell.celery_app import make_app
from tests.crash.test_starting_workers import for_seconds
from tests.eventually import eventually
from tests.processes import Processes, Running

AGENTS = ("tests.agents", "tests.agents_limits", "tests.crash.impatient")


def worker_of(processes: Processes, *queues: str, **settings: Any) -> Running:
    arguments = ["worker", "-n", "worker0@test", "--without-mingle", "-c", "4", "--loglevel", "INFO"]
    worker = processes.celery("workers", [*arguments, "-Q", ",".join(queues)], agents=AGENTS, **settings)
    eventually(lambda: "worker0@test ready" in worker.output and "takes steps: " in worker.output, 30)
    return worker


def tell(client: AgentTasks, command: str, queue: str) -> None:
    app: Any = make_app("control", client.settings, ["agents"])
    (answer,) = getattr(app.control, command)(queue, reply=True, timeout=10, limit=1)
    assert "ok" in answer["worker0@test"]


def test_the_watchdog_leaves_a_cancelled_queue_alone(client: AgentTasks, processes: Processes) -> None:
    worker = worker_of(processes, "agents")
    tell(client, "cancel_consumer", "agents")
    task = client.submit("echo", {"value": 1})
    for_seconds(6, lambda: task.stored().status == "pending")
    assert "nothing was taken" not in worker.output
    tell(client, "add_consumer", "agents")
    assert task.result(timeout=10) == 1


def test_a_process_that_replaces_itself_leaves_a_cancelled_queue_alone(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    worker = worker_of(processes, "agents", "paused", drain_seconds=0.5)
    tell(client, "cancel_consumer", "paused")
    paused = client.submit("echo", {"value": 1}, queue="paused")
    for _ in range(2):
        task = client.submit("dies_with_its_slot", {"folder": str(tmp_path)})
        eventually(lambda task=task: task.stored().status == "running")
        task.cancel()
    eventually(lambda: worker.output.count("takes steps: ") == 2, 30)
    assert client.submit("echo", {"value": 2}).result(timeout=10) == 2
    for_seconds(4, lambda: paused.stored().status == "pending")
    tell(client, "add_consumer", "paused")
    assert paused.result(timeout=10) == 1
