"""A worker dies within a call: whether it happened outside is unknown, and that is what the ledger says."""

from pathlib import Path

from agent_tasks import AgentTasks
from tests import rows
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes


def test_an_at_most_once_call_of_unknown_outcome_is_not_made_again(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (worker,) = processes.fleet(lease_seconds=1.0)
    task = client.submit("at_most_once", {"folder": str(tmp_path)})
    eventually(lambda: notes(tmp_path))
    worker.kill()
    processes.worker()
    snapshot = task.wait(timeout=30)
    assert (snapshot.status, snapshot.error.type) == ("failed", "context_lost")  # type: ignore[union-attr]
    assert notes(tmp_path) == ["called"]
    again = task.resume().wait(timeout=30)
    assert again.error is not None
    assert again.error.type == "context_lost"
    assert notes(tmp_path) == ["called"]


def test_a_usual_call_of_unknown_outcome_is_made_again_under_its_key(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (worker,) = processes.fleet(lease_seconds=1.0)
    (tmp_path / "hold").touch()
    task = client.submit("keyed", {"folder": str(tmp_path)})
    eventually(lambda: notes(tmp_path))
    worker.kill()
    (tmp_path / "hold").unlink()
    processes.worker()
    assert task.wait(timeout=30).status == "failed"  # after its two attempts
    resumed = task.resume()
    assert resumed.wait(timeout=30).status == "failed"
    keys = notes(tmp_path)
    assert len(keys) == 5  # one cut short, two tries, and two more after the resume
    assert len(set(keys)) == 1
    (call,) = rows.calls(client, resumed.id)
    assert call["status"] == "failed"
