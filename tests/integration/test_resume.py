"""A task that ended goes on as a new one, from its checkpoint and with its recorded calls."""

from pathlib import Path

import pytest

from agent_tasks import Budget, InvalidState
from tests import rows
from tests.agents import notes
from tests.conftest import Fleet
from tests.eventually import eventually


@pytest.mark.parametrize(
    ("how", "budget", "status"),
    [
        ("fail", Budget(), "failed"),
        ("wait", Budget(seconds=1.5), "timeout"),
        ("partial", Budget(seconds=1.5), "partial"),
        ("charge", Budget(tokens=10), "failed"),
        ("cancel", Budget(), "cancelled"),
    ],
)
def test_a_resumed_task_starts_at_the_checkpoint_with_the_recorded_calls(
    fleet: Fleet, tmp_path: Path, how: str, budget: Budget, status: str
) -> None:
    task = fleet.client.submit("resumable", {"folder": str(tmp_path), "how": how}, budget=budget)
    if how == "cancel":
        eventually(lambda: [c["status"] for c in rows.calls(fleet.client, task.id)] == ["completed"])
        task.cancel()
    ended = task.wait(timeout=30)
    assert ended.status == status
    assert ended.error is not None
    assert ended.error.checkpoint == 1
    (tmp_path / "go").touch()
    resumed = task.resume(budget=Budget(seconds=30, tokens=5000))
    assert resumed.result(timeout=30) == ["one", 1]
    assert notes(tmp_path) == ["prepare", "one"]
    assert task.stored() == ended
    assert resumed.stored().resumed_from == task.id
    assert rows.checkpoints(fleet.client, resumed.id) == [(0, "prepare"), (1, "act")]
    assert resumed.stored().budget.spent.tokens in (0, 1000)


def test_a_task_may_be_resumed_again_and_again(fleet: Fleet, tmp_path: Path) -> None:
    task = fleet.client.submit("resumable", {"folder": str(tmp_path), "how": "fail"})
    for _ in range(3):
        task.wait(timeout=30)
        task = task.resume()
    (tmp_path / "go").touch()
    task.wait(timeout=30)
    last = task.resume() if task.stored().status == "failed" else task
    assert last.result(timeout=30) == ["one", 1]
    assert notes(tmp_path) == ["prepare", "one"]


def test_what_has_not_ended_or_has_completed_is_not_resumed(fleet: Fleet, tmp_path: Path) -> None:
    task = fleet.client.submit("patient", {"folder": str(tmp_path)})
    eventually(lambda: notes(tmp_path))
    with pytest.raises(InvalidState):
        task.resume()
    (tmp_path / "go").touch()
    task.wait(timeout=30)
    with pytest.raises(InvalidState):
        task.resume()
