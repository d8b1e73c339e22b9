"""The orchestrator on real processes: its children, its approval, and a worker killed below it."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_tasks import AgentTasks, Budget, Identity, InvalidInput, PermissionDenied, Settings, TaskHandle
from tests.eventually import eventually
from tests.processes import Processes

QUESTION = "How does the system recover when a worker dies?"


@pytest.fixture
def processes(settings: Settings, tmp_path: Path) -> Iterator[Processes]:
    """Workers that load the bundled agents, which read and write in the test's folder."""
    given = settings.model_copy(update={"bundled": ("research", "orchestrator"), "bundled_root": str(tmp_path)})
    with Processes(given, tmp_path) as processes:
        yield processes


@pytest.fixture
def running(processes: Processes) -> Processes:
    processes.worker(concurrency=4)
    processes.sweeper()
    processes.beat()
    return processes


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, Any]:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(20):
        text = f"Worker {number} died at {number} o'clock, and its task was recovered by worker {number + 1}."
        (folder / f"{number:03}.txt").write_text(text)
    return {"paths": [str(folder)], "question": QUESTION, "output": str(tmp_path / "report.md"), "approve": True}


def waits_for_approval(task: TaskHandle) -> None:
    eventually(lambda: (w := task.stored().waiting_for) is not None and w.kind == "signal")


def test_children_complete_and_the_report_is_published_once_approved(
    client: AgentTasks, running: Processes, asked: dict[str, Any]
) -> None:
    task = client.submit("orchestrator", asked, identity=Identity(subject="ana"))
    waits_for_approval(task)
    assert not Path(asked["output"]).exists()
    with pytest.raises(InvalidInput, match="does not accept this signal"):
        task.signal("approval", {"ok": "perhaps"})
    task.signal("approval", {"ok": True})
    result = task.result(timeout=30)
    assert Path(asked["output"]).read_text() == result["report"]
    assert result["stats"]["read"] == 20
    agents = ["research-reader"] * 3 + ["research-analyst", "research-writer"]
    assert [child["agent"] for child in result["children"]] == agents
    assert {child["status"] for child in result["children"]} == {"completed"}
    children = [child.stored() for child in task.children()]
    assert sorted(child.agent for child in children) == sorted(agents)
    assert {child.identity.actors for child in children if child.identity} == {("orchestrator",)}
    assert sorted(child.progress.done for child in children if child.progress) == [6, 7, 7]


def test_a_refused_report_and_one_that_nobody_answers_for_are_kept_unpublished(
    client: AgentTasks, running: Processes, asked: dict[str, Any]
) -> None:
    refused = client.submit("orchestrator", asked)
    unanswered = client.submit("orchestrator", {**asked, "approval_seconds": 0.5})
    waits_for_approval(refused)
    refused.signal("approval", {"ok": False, "note": "too short"}, identity=Identity(subject="bo"))
    for task, reason in ((refused, "refused by bo: too short"), (unanswered, "Nobody approved")):
        snapshot = task.wait(timeout=30)
        assert snapshot.status == "partial"
        assert snapshot.error is not None
        assert reason in snapshot.error.message
        assert snapshot.result["report"].startswith("# ")
        assert snapshot.result["path"] is None
    assert not Path(asked["output"]).exists()


def test_children_that_run_out_end_partial_and_their_passages_are_used(
    client: AgentTasks, running: Processes, asked: dict[str, Any]
) -> None:
    del asked["approve"]
    task = client.submit("research", asked, budget=Budget(calls=20))
    snapshot = task.wait(timeout=30)
    assert snapshot.status == "partial"
    assert snapshot.error is not None
    assert "14 of 20 documents had been read. 3 research-reader ended as partial" in snapshot.error.message
    assert {child.stored().status for child in task.children()} == {"partial", "completed"}
    assert snapshot.result["passages"]
    assert snapshot.error.message in snapshot.result["report"]
    assert Path(asked["output"]).read_text() == snapshot.result["report"]
    assert snapshot.budget.spent.calls <= 20


def test_a_killed_worker_costs_nothing_that_was_recorded(
    client: AgentTasks, processes: Processes, asked: dict[str, Any]
) -> None:
    first = processes.worker(concurrency=2)
    processes.sweeper()
    processes.beat()
    task = client.submit("orchestrator", asked | {"approve": False})

    def calls() -> list[Any]:
        with client.database.connection() as connection:
            query = "SELECT attempts FROM agent_tasks.calls WHERE name = 'read_document' AND status = 'completed'"
            return connection.execute(query).fetchall()

    eventually(lambda: len(calls()) >= 3)
    first.send(signal.SIGSTOP)
    kept = len(calls())
    first.kill()
    assert kept < 20
    processes.worker(concurrency=2)
    assert task.result(timeout=40)["stats"]["read"] == 20
    assert len(calls()) == 20
    assert sum(row["attempts"] for row in calls()) <= 20 + 2


def test_a_report_is_taken_back_where_its_task_runs_out_before_it_ends(
    client: AgentTasks, running: Processes, asked: dict[str, Any]
) -> None:
    folder = Path(asked["paths"][0])
    for file in sorted(folder.iterdir())[8:]:
        file.unlink()
    task = client.submit("orchestrator", asked | {"approve": False}, budget=Budget(steps=8))
    snapshot = task.wait(timeout=30)
    assert snapshot.status == "partial"
    assert snapshot.error is not None
    assert [undone["step"] for undone in snapshot.error.details["undone"]] == ["publish"]
    assert snapshot.result["report"].startswith("# ")
    assert snapshot.result["path"] is None
    assert not Path(asked["output"]).exists()


@pytest.mark.parametrize("field", ["paths", "output"])
def test_the_agent_reads_and_writes_nowhere_else(
    client: AgentTasks, running: Processes, asked: dict[str, Any], tmp_path_factory: pytest.TempPathFactory, field: str
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "notes.txt"
    elsewhere.write_text("secret")
    given = str(elsewhere) if field == "output" else [str(elsewhere)]
    for agent in ("research", "orchestrator"):
        with pytest.raises(PermissionDenied, match="is not below"):
            client.submit(agent, {"paths": asked["paths"], "question": QUESTION, field: given}).result(timeout=30)
    search = {"question": QUESTION, "root": str(elsewhere.parent), "documents": 1, "max_passages": 12}
    with pytest.raises(PermissionDenied, match="is not below"):
        client.submit("research-reader", {"search": search, "files": ["notes.txt"]}).result(timeout=30)
    assert elsewhere.read_text() == "secret"
