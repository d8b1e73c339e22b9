"""The plugin in runs of pytest of a user's: the examples of docs/testing.md, and two processes of xdist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT, blocks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]
EXPORTING = '''
import json
from pathlib import Path

from acme.agents import complete, save, writer

from agent_tasks.client.export import export


def test_exported(agent_tasks):
    """A task that fails, as the document's last example replays it."""
    agent_tasks.calls.stub(complete, returns="a draft")
    agent_tasks.calls.stub(save, raises=OSError("no space is left"))
    task = agent_tasks.submit(writer, {"topic": "tides"})
    agent_tasks.run_until_idle()
    task.signal("approval", {"ok": True})
    assert task.wait().status == "failed"
    with agent_tasks.client.database.connection() as connection:
        Path("task.json").write_text(json.dumps(export(connection, task.id)))
'''
SHARED = """
import os
from pathlib import Path

import pytest

from agent_tasks import Done, agent


@agent("shared")
async def shared(ctx, n: int):
    return Done(n)


@pytest.mark.parametrize("n", range(8))
def test_shared(agent_tasks, n):
    assert agent_tasks.client.living() == []
    waiting = agent_tasks.submit("shared", {"n": n})
    assert [task.id for task in agent_tasks.client.living()] == [waiting.id]
    assert waiting.result() == n
    with agent_tasks.client.database.connection() as connection:
        row = connection.execute(
            "SELECT current_database() AS name, pg_postmaster_start_time() AS since").fetchone()
    with Path("seen").open("a") as file:
        file.write(f"{os.environ['PYTEST_XDIST_WORKER']} {row['name']} {row['since'].timestamp()}\\n")
"""


def passed(folder: Path, *options: str) -> str:
    """What pytest says of the tests in the folder, all of which pass."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_examples_of_the_document_pass(tmp_path: Path) -> None:
    agents, *tests = blocks("docs/testing.md", "python")
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "__init__.py").touch()
    (tmp_path / "acme" / "agents.py").write_text(agents)
    (tmp_path / "test_0.py").write_text(EXPORTING)
    for number, text in enumerate(tests, 1):
        (tmp_path / f"test_{number}.py").write_text(text)
    assert len(tests) >= 4
    assert f"{len(tests) + 1} passed" in passed(tmp_path)


def test_processes_of_xdist_share_a_server_and_no_database(tmp_path: Path) -> None:
    (tmp_path / "test_shared.py").write_text(SHARED)
    passed(tmp_path, "-n", "2", "--dist", "each")
    seen = [line.split() for line in (tmp_path / "seen").read_text().splitlines()]
    assert len(seen) == 16
    assert len({process for process, *_ in seen}) == 2
    assert len({database for _, database, _ in seen}) == 2
    assert len({since for *_, since in seen}) == 1, "each process has started a server"
    assert all(re.match(r"agent_tasks_test_", database) for _, database, _ in seen)
