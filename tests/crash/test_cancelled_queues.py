"""`celery control cancel_consumer` pauses a queue: it stays so until `add_consumer`, whatever the process does."""

from pathlib import Path
from typing import Any

import pytest

from agent_tasks import AgentTasks
from agent_tasks.doorbell.celery_app import make_app
from tests.agents import notes
from tests.crash.test_starting_workers import for_seconds
from tests.eventually import eventually
from tests.processes import Processes, Running

AGENTS = ("tests.agents", "tests.agents_limits", "tests.crash.impatient")


def worker_of(processes: Processes, *queues: str, **settings: Any) -> Running:
    arguments = ["worker", "-n", "worker0@test", "--without-mingle", "-c", "4", "--loglevel", "INFO"]
    worker = processes.celery("workers", [*arguments, "-Q", ",".join(queues)], agents=AGENTS, **settings)
    eventually(lambda: "worker0@test ready" in worker.output and "takes steps: " in worker.output)
    return worker


def tell(client: AgentTasks, command: str, queue: str) -> None:
    """Again and again until it answers: who says that it is ready may not listen yet."""
    app: Any = make_app("control", client.settings, ["agents"])
    send = getattr(app.control, command)
    ((answer,),) = [eventually(lambda: send(queue, destination=["worker0@test"], reply=True, timeout=2, limit=1))]
    assert "ok" in answer["worker0@test"]


def test_the_watchdog_leaves_a_cancelled_queue_alone(client: AgentTasks, processes: Processes) -> None:
    worker = worker_of(processes, "agents")
    tell(client, "cancel_consumer", "agents")
    task = client.submit("echo", {"value": 1})
    for_seconds(6, lambda: task.stored().status == "pending")
    assert "consuming stopped" not in worker.output
    tell(client, "add_consumer", "agents")
    assert task.result(timeout=30) == 1


@pytest.mark.slow
def test_a_process_that_replaces_itself_leaves_a_cancelled_queue_alone(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    worker = worker_of(processes, "agents", "paused", drain_seconds=0.5)
    tell(client, "cancel_consumer", "paused")
    paused = client.submit("echo", {"value": 1}, queue="paused")
    stuck = client.submit_many("dies_with_its_slot", [{"folder": str(tmp_path)}] * 2)
    eventually(lambda: len(notes(tmp_path)) == 2)  # a step that is cancelled before it began costs no slot
    for task in stuck:
        task.cancel()
    eventually(lambda: worker.output.count("takes steps: ") >= 2)
    assert client.submit("echo", {"value": 2}).result(timeout=30) == 2
    for_seconds(4, lambda: paused.stored().status == "pending")
    tell(client, "add_consumer", "paused")
    assert paused.result(timeout=30) == 1
