"""Nobody is left who could go on: after its TTL a task is given up, with what it has."""

from pathlib import Path

import pytest

from agent_tasks import AgentTasks, TaskHandle
from tests import rows
from tests.agents import notes
from tests.crash.test_killed_workers import runs_on
from tests.eventually import eventually
from tests.processes import Processes


@pytest.fixture
def orphans(client: AgentTasks, processes: Processes, tmp_path: Path) -> dict[str, TaskHandle]:
    """Three tasks whose only worker was killed: by the time they are looked at, they are given up."""
    (worker,) = processes.fleet(lease_seconds=1.0, ttl_seconds=1.0)
    tasks = {}
    for agent, extra in (("keeps_partial", {}), ("patient", {}), ("sensitive", {"secret": "s3cret"})):
        folder = tmp_path / agent
        folder.mkdir()
        tasks[agent] = client.submit(agent, {"folder": str(folder), **extra}, ttl=1)
        eventually(lambda folder=folder: notes(folder))
    worker.kill()
    return tasks


def test_orphans_end_with_what_they_have(client: AgentTasks, orphans: dict[str, TaskHandle]) -> None:
    ended = {agent: task.wait(timeout=30) for agent, task in orphans.items()}
    assert {agent: str(snapshot.status) for agent, snapshot in ended.items()} == {
        "keeps_partial": "partial",
        "patient": "failed",
        "sensitive": "failed",
    }
    assert {str(snapshot.error and snapshot.error.type) for snapshot in ended.values()} == {"context_lost"}
    assert ended["keeps_partial"].result == {"pages": 3}
    for task in orphans.values():
        assert [e["type"] for e in rows.events(client, task.id)][-2:] == ["expired", "finished"]
    assert rows.task(client, orphans["patient"].id)["input"] is not None
    secret = rows.task(client, orphans["sensitive"].id)
    assert secret["input"] is None
    assert "s3cret" not in str(secret)


def test_an_orphan_that_was_given_up_can_be_resumed(
    client: AgentTasks, processes: Processes, orphans: dict[str, TaskHandle]
) -> None:
    task = orphans["patient"]
    task.wait(timeout=30)
    folder = Path(rows.task(client, task.id)["input"]["folder"])
    (folder / "go").touch()
    processes.worker()
    assert task.resume().result(timeout=30) == "done"


def test_an_agent_whose_code_is_on_no_worker_ends_as_context_lost(client: AgentTasks, processes: Processes) -> None:
    processes.fleet(agents=("tests.agents",), ttl_seconds=1.0)
    task = client.submit("hops", {"to": 3}, ttl=1)
    served = client.submit("relay_plain", {"folder": "/nowhere"}, ttl=1, queue="nobody-takes-from-here")
    for lost in (task, served):
        snapshot = lost.wait(timeout=30)
        assert (snapshot.status, snapshot.error.type) == ("failed", "context_lost")  # type: ignore[union-attr]
    assert client.submit("echo", {"value": 1}, ttl=1).result(timeout=30) == 1


def test_a_task_that_only_waits_for_a_free_slot_is_no_orphan(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    processes.fleet(concurrency=1, ttl_seconds=0.5)
    blocking = client.submit("inattentive", {"folder": str(tmp_path)}, ttl=0.5)
    eventually(lambda: runs_on(tmp_path, "waits"))
    waiting = client.submit("count_plain", {"to": 2}, ttl=0.5)
    eventually(lambda: rows.query(client, "SELECT FROM agent_tasks.watches WHERE last_at > since + interval '2 s'"))
    assert waiting.stored().status == "pending"
    (tmp_path / "go").touch()
    assert (blocking.result(timeout=30), waiting.result(timeout=30)) == ("done", 2)
