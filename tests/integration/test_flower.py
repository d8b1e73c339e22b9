"""The real Flower sees steps under their own names, with their root, and without their arguments."""

import json
import socket
import urllib.request
from pathlib import Path
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
    eventually(lambda: "Registered tasks" in flower.output or "Visit me at" in flower.output)
    eventually(lambda: read(port, "workers?refresh=1"))
    task = client.submit("count", {"to": 3})
    secret = client.submit("echo", {"value": SECRET})
    assert task.result(timeout=30) == 3
    assert secret.result(timeout=30) == SECRET

    def shown() -> dict[str, Any] | None:
        tasks = read(port, "tasks")
        done = [t for t in tasks.values() if t["state"] == "SUCCESS"]
        return tasks if len(done) == 5 else None

    tasks = eventually(shown)
    assert {uuid: t["name"] for uuid, t in tasks.items()} == {
        str(task.id): "count.up",
        **{f"{task.id}:{n}": "count.up" for n in range(1, 4)},
        str(secret.id): "echo.echo",
    }
    for uuid, shown_task in tasks.items():
        assert shown_task["root_id"] in tasks
        assert shown_task["parent_id"] == (shown_task["root_id"] if ":" in uuid else None)
        assert shown_task["args"] == "(***)"
        assert shown_task["runtime"] is not None
    assert SECRET not in json.dumps(tasks)


def test_flower_counts_the_steps_that_run_links_to_what_it_knows_and_shows_failures(
    client: AgentTasks, processes: Processes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "1")
    port = free_port()
    worker = processes.worker(ready=False)
    flower = processes.celery("workers", ["flower", f"--port={port}", "--address=127.0.0.1"])
    processes.wait_until_ready(worker)
    eventually(lambda: "Registered tasks" in flower.output or "Visit me at" in flower.output)
    eventually(lambda: read(port, "workers?refresh=1"))
    family = [{"agent": "relay", "input": {"folder": str(tmp_path)}}, {"agent": "fails", "input": {}}]
    task = client.submit("foreman", {"family": family})

    def active() -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/workers?json=1", timeout=5) as answer:
            return [found.get("active") for found in json.load(answer)["data"]]

    eventually(lambda: active() == [1], 20)  # an async step, whose message is long gone
    (tmp_path / "go").touch()
    task.wait(timeout=30)

    def shown() -> dict[str, Any] | None:
        tasks = read(port, "tasks")
        return tasks if len([t for t in tasks.values() if t["state"] in ("SUCCESS", "FAILURE")]) == 6 else None

    tasks = eventually(shown)
    assert all(found["root_id"] in tasks for found in tasks.values())
    assert all(found["parent_id"] in tasks for found in tasks.values() if found["parent_id"])
    (failed,) = [found for found in tasks.values() if found["state"] == "FAILURE"]
    assert (failed["name"], failed["parent_id"]) == ("fails.fails", str(task.id))
    assert "Traceback" in failed["traceback"]
