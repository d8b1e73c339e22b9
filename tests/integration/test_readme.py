"""The code of the README and of the documents, run as it stands there."""

import os
import sys
from pathlib import Path

import pytest

import agent_tasks
from agent_tasks import AgentTasks
from tests.documents import ROOT, blocks, write_module
from tests.eventually import eventually
from tests.processes import Processes, Running


def worker_with(processes: Processes, folder: Path, module: str) -> Running:
    """A worker that imports its agents from `folder`, as one does that is started there."""
    environment = processes.environment(agents=(module,))
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(folder)])
    argv = [sys.executable, "-m", "celery", "-A", "workers", "worker", "-n", "documented@test", "--loglevel", "INFO"]
    worker = processes.start("documented", argv, environment)
    eventually(lambda: "documented@test ready" in worker.output)
    return worker


def test_the_lines_of_the_readme_run(client: AgentTasks, processes: Processes, tmp_path: Path) -> None:
    (code,) = blocks("README.md", "python")
    (tmp_path / "hello.py").write_text(code)
    worker_with(processes, tmp_path, "hello")
    environment = processes.environment(agents=())
    program = processes.start("program", [sys.executable, str(tmp_path / "hello.py")], environment)
    assert program.wait_for_exit() == 0, program.output
    task_id, said = program.output.split(maxsplit=1)
    assert said.strip() == f"Hello Ada, signed by task {task_id}"
    task = client.get(task_id)
    assert task.snapshot().step_number == 2


def test_the_examples_of_submitting_run(
    client: AgentTasks, processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker_with(processes, tmp_path, write_module("docs/agents.md", tmp_path))
    monkeypatch.setattr(agent_tasks, "_default", client)
    known = {"database_url": client.settings.database_url, "redis_url": client.settings.redis_url}
    exec("\n".join(blocks("docs/submitting.md", "python")), known)
    assert known["result"] == {"text": "Text on Text on an outline of tides", "approved_by": "ana"}


def test_the_agents_of_the_documents_run(client: AgentTasks, processes: Processes, tmp_path: Path) -> None:
    worker_with(processes, tmp_path, write_module("docs/agents.md", tmp_path))
    assert client.submit("count_words", {"texts": ["one two", "three"]}).result(timeout=30) == 3
    assert len(client.submit("pay", {"cents": 100}).result(timeout=30)) == 8
    assert client.submit("survey", {"questions": ["why", "how"]}).result(timeout=30) == ["Text on why", "Text on how"]
    short = client.submit("frugal", {"questions": ["a", "b", "c"]}).wait(timeout=30)
    assert (short.status, short.result) == ("partial", ["Text on a", "Text on b"])
    client.submit("reminder", {"text": "x", "days": 1.0})


@pytest.mark.parametrize("query", blocks("docs/operations.md", "sql"))
def test_the_queries_of_the_documents_run(client: AgentTasks, query: str) -> None:
    with client.database.connection() as connection:
        connection.execute(query.encode())
