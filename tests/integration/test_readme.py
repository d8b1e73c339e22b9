"""The code of the README and of the documents, run as it stands there."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

import agent_tasks
from agent_tasks import AgentTasks, Identity, InvalidInput
from agent_tasks.authoring import agent as agents
from tests.documents import ROOT, blocks, module_of, write_module
from tests.eventually import eventually
from tests.processes import Processes, Running


def worker_with(processes: Processes, folder: Path, *modules: str) -> Running:
    """A worker that imports its agents from `folder`, as one does that is started there."""
    environment = processes.environment(agents=modules)
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


OUTCOMES: dict[str, tuple[dict[str, Any], Any]] = {
    "reviewer": ({"url": "a"}, "Text on a judgement of the text of a"),
    "toolbox": (
        {"question": "why", "tools": ["x", "y"]},
        ["Text on the gist of x on why", "Text on the gist of y on why"],
    ),
    "persistent": ({"prompt": "p"}, "large: p"),
    "thinker": ({"question": "q"}, "Text on which tool for q on q"),
    "careful": ({"prompt": "p"}, "large: p"),
    "surveyor": ({"places": ["a", "b"]}, ["survey on a", "survey on b"]),
    "ask": ({"question": "q"}, "q"),
    "specialist": ({"question": "q"}, "Text on q"),
    "totals": ({"questions": ["a", "bc"]}, len("Text on a") + len("Text on bc")),
    "totals-at-once": ({"questions": ["a", "bc"]}, len("Text on a") + len("Text on bc")),
    "thorough": ({"questions": ["a", "b"]}, ["Text on a", "Text on b"]),
    "analyst": ({"parts": ["a", "bc"]}, [1, 2]),
    "assistant": ({"request": "r"}, "Text on r"),
}
"""Of agents of the documents: what they are given, and what comes of it."""
EDITORS = "editor", "editor-in-steps"
"""The same in a straight line and with directives."""
RUN_BY_OTHERS = {"asker", "writer", "count_words", "pay", "survey", "frugal", "reminder", "quote", "publisher"}
PART = """
from agent_tasks import Context, agent

@agent("analyst_of_one")
async def analyst_of_one(ctx: Context, part: str):
    return len(part)
"""


def test_each_agent_of_the_documents_comes_to_what_it_says(
    client: AgentTasks, processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = [write_module(f"docs/{name}.md", tmp_path) for name in ("agents", "budgets", "errors")]
    (tmp_path / "documented_part.py").write_text(PART)
    worker_with(processes, tmp_path, *modules, "documented_part")
    monkeypatch.setattr(agents, "_registry", {})
    loaded = [module_of(f"docs/{name}.md", tmp_path, monkeypatch) for name in ("agents", "budgets", "errors")]
    assert agents.loaded_agents().keys() == {*OUTCOMES, *RUN_BY_OTHERS, *EDITORS}
    tasks = {name: client.submit(name, given) for name, (given, _) in OUTCOMES.items()}
    for name, (_, expected) in OUTCOMES.items():
        assert tasks[name].result(timeout=30) == expected, name
    edited = [client.submit(name, {"topic": "tides"}) for name in EDITORS]
    for remark in ("shorter", "fine"):
        for task in edited:
            task.signal("review", remark)
    straight, in_steps = (task.result(timeout=30) for task in edited)
    assert straight == in_steps == "About tides shorter"
    result_or_resume = vars(loaded[2])["result_or_resume"]
    assert result_or_resume(tasks["ask"]) == "q"
    with pytest.raises(InvalidInput, match="'A1' is no symbol"):
        result_or_resume(client.submit("quote", {"symbol": "A1"}))
    closed = client.submit("quote", {"symbol": "ACME"})
    assert eventually(lambda: closed.stored().waiting_for).kind == "retry"


def test_the_names_that_alembic_is_to_leave_out_are_those_of_our_schema() -> None:
    known: dict[str, Any] = {}
    (code,) = [block for block in blocks("docs/operations.md", "python") if "include_name" in block]
    exec(code, known)
    names = ["public", "agent_tasks", None]
    assert [known["include_name"](name, "schema", {}) for name in names] == [True, False, True]
    assert known["include_name"]("agent_tasks", "table", {})


@pytest.mark.parametrize(
    "code", [*blocks("docs/http.md", "python"), *[b for b in blocks("docs/operations.md", "python") if "audit" in b]]
)
def test_the_lines_on_keys_and_the_audit_run(
    client: AgentTasks, code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(agent_tasks, "_default", client)
    for name in ("database_url", "redis_url"):
        monkeypatch.setenv(f"AGENT_TASKS_{name.upper()}", str(getattr(client.settings, name)))
    ana = Identity(subject="ana", tenant="acme")
    client.get(client.submit("echo", {"value": 1}, identity=ana).id, identity=ana).cancel()
    exec(code, {})
    said = capsys.readouterr().out
    assert said.startswith("at_") or " ana python " in said


@pytest.mark.parametrize("query", blocks("docs/operations.md", "sql"))
def test_the_queries_of_the_documents_run(client: AgentTasks, query: str) -> None:
    with client.database.connection() as connection:
        connection.execute(query.encode())
