"""The acceptance list of docs/agentcore.md: its commands, run as they stand there, and what the page says of them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Fleet
from tests.documents import ROOT, blocks
from tests.eventually import eventually

PAGE = "docs/agentcore.md"


@pytest.fixture
def url(fleet: Fleet, tmp_path: Path) -> Iterator[str]:
    """A runtime and a worker with the agent of the page."""
    (agent,) = [block for block in blocks(PAGE, "python") if '@agent("reporter")' in block]
    (tmp_path / "agents_of_agentcore_page.py").write_text(agent)
    settings: dict[str, Any] = {"agents": ("agents_of_agentcore_page",), "queue": "reporter"}
    environment = fleet.processes.environment(**settings)
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(tmp_path)])
    argv = [sys.executable, "-m", "celery", "-A", "workers", "worker", "-n", "reporter@test", "-l", "INFO"]
    worker = fleet.processes.start("reporter", argv, environment)
    eventually(lambda: "reporter@test ready" in worker.output)
    gateway, url = fleet.processes.gateway(
        agents=(), queue="reporter", agentcore_agent="reporter", agentcore_mode="acknowledge"
    )
    yield url
    gateway.kill()
    worker.kill()


def said(url: str, command: str) -> list[dict[str, Any]]:
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        env={**os.environ, "URL": url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    found, decoder = [], json.JSONDecoder()
    left = ran.stdout.strip()
    while left:
        value, end = decoder.raw_decode(left)
        found.append(value)
        left = left[end:].lstrip()
    return found


def test_the_acceptance_list_is_as_the_page_says(url: str) -> None:
    accept, busy, healthy, result = blocks(PAGE, "bash")
    (accepted,) = said(url, accept)
    assert accepted["status"] == "pending"
    ping, refused, stands = said(url, busy)
    assert ping["status"] == "HealthyBusy"
    assert accepted["task_id"] in refused["error"]
    assert stands["task_id"] == accepted["task_id"]
    assert stands["status"] in ("pending", "running")
    (again,) = said(url, healthy)
    assert again["time_of_last_update"] >= ping["time_of_last_update"]
    (ended,) = said(url, result)
    assert ended == {**accepted, "status": "completed", "result": {"report": "On tides"}}
