"""The real Flower sees steps under their own names, with their root, and without their arguments."""

import json
import socket
import urllib.request
from typing import Any

import pytest

from agent_tasks import AgentTasks
from tests.eventually import eventually
from tests.processes import Processes

pytest.importorskip("flower")
SECRET = "what nobody may see"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def read(port: int, path: str) -> Any:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/{path}", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return {}


@pytest.mark.parametrize("quantum", [0, 10])
def test_flower_shows_each_step_under_its_name(
    client: AgentTasks, processes: Processes, monkeypatch: pytest.MonkeyPatch, quantum: int
) -> None:
    """`quantum` 10: all steps are gone on with in place, by one message."""
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "1")
    port = free_port()
    worker = processes.worker(ready=False, quantum_seconds=quantum)
    flower = processes.celery("workers", ["flower", f"--port={port}", "--address=127.0.0.1"])
    processes.wait_until_ready(worker)
    eventually(lambda: "Registered tasks" in flower.output or "Visit me at" in flower.output, 30)
    eventually(lambda: read(port, "workers?refresh=1"), 30)
    task = client.submit("count", {"to": 3})
    secret = client.submit("echo", {"value": SECRET})
    assert task.result(timeout=10) == 3
    assert secret.result(timeout=10) == SECRET

    def shown() -> dict[str, Any] | None:
        tasks = read(port, "tasks")
        done = [t for t in tasks.values() if t["state"] == "SUCCESS"]
        return tasks if len(done) == 5 else None

    tasks = eventually(shown, 20)
    assert {uuid: t["name"] for uuid, t in tasks.items()} == {
        **{f"{task.id}:{n}": "count.up" for n in range(4)},
        f"{secret.id}:0": "echo.echo",
    }
    for uuid, shown_task in tasks.items():
        assert shown_task["root_id"] == uuid.split(":")[0]
        assert shown_task["args"] == "(***)"
        assert shown_task["runtime"] is not None
    assert SECRET not in json.dumps(tasks)
