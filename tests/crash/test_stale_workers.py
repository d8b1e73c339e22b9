"""A worker that slept past its lease wakes up: it cannot commit, and what it has is dropped."""

import signal
from pathlib import Path

import pytest

from agent_tasks import AgentTasks
from tests import rows
from tests.agents import notes
from tests.crash.test_killed_workers import owner, runs_on
from tests.eventually import eventually
from tests.processes import Processes


@pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.slow)])
@pytest.mark.parametrize("agent", ["patient", pytest.param("inattentive", marks=pytest.mark.slow)])
def test_a_stale_worker_that_wakes_after_another_took_over_cannot_commit(
    client: AgentTasks, processes: Processes, tmp_path: Path, pool: str, agent: str
) -> None:
    workers = processes.fleet(workers=2, pool=pool, concurrency=2)
    task = client.submit(agent, {"folder": str(tmp_path)})
    (first,) = eventually(lambda: runs_on(tmp_path, "waits"))
    stale = owner(workers, first)
    stale.send_all(signal.SIGSTOP)
    eventually(lambda: len(runs_on(tmp_path, "waits")) == 2)
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    ended = task.stored()
    stale.send_all(signal.SIGCONT)  # its step sees `go`, too, and returns
    eventually(lambda: "result dropped" in stale.output or "lease lost" in stale.output)
    assert task.stored() == ended
    assert rows.runs(client, task.id) == [2]
    assert [e["data"]["run"] for e in rows.events(client, task.id, "claimed")] == [1, 2]
    assert len(rows.events(client, task.id, "finished")) == 1
    assert client.submit("echo", {"value": 1}).result(timeout=30) == 1


def test_a_stale_worker_that_wakes_while_the_other_still_runs_stops_its_step(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    workers = processes.fleet(workers=2)
    task = client.submit("patient", {"folder": str(tmp_path)})
    (first,) = eventually(lambda: runs_on(tmp_path, "waits"))
    stale = owner(workers, first)
    stale.send_all(signal.SIGSTOP)
    eventually(lambda: len(runs_on(tmp_path, "waits")) == 2)
    stale.send_all(signal.SIGCONT)
    eventually(lambda: "cancelled" in notes(tmp_path))
    assert "lease lost" in stale.output
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    assert rows.runs(client, task.id) == [2]
    assert notes(tmp_path).count("cancelled") == 1


def test_a_stale_workers_charges_calls_and_progress_are_refused(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    workers = processes.fleet(workers=2)
    task = client.submit("chatty", {"folder": str(tmp_path)})
    (first,) = eventually(lambda: runs_on(tmp_path, "begins"))
    stale = owner(workers, first)
    stale.send_all(signal.SIGSTOP)
    eventually(lambda: len(runs_on(tmp_path, "begins")) == 2)
    stale.send_all(signal.SIGCONT)
    eventually(lambda: "lease lost" in stale.output or "result dropped" in stale.output)
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    charged = rows.events(client, task.id, "charged")
    assert rows.task(client, task.id)["spent_tokens"] == len(charged)
    assert rows.runs(client, task.id) == [2]
