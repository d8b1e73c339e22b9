"""SIGKILL in a straight-line step: its calls are made once, its children spawned once, its end is the same."""

import signal
from pathlib import Path

import pytest

from agent_tasks import TaskHandle
from tests import rows
from tests.agents import notes
from tests.conftest import Fleet
from tests.crash.test_fan_out import sweeping as sweeping
from tests.eventually import eventually

MEMBERS = 3
SPAWN = ["halfway", "written", "committed", "half-published"]
"""Of the children: nothing else is committed in this process that is no step's."""
PARK = ["returned", "halfway", "written", "committed", "published"]
"""It has come to wait, is half parked, is parked and not committed, is parked and not shown."""
END = ["returned", "committed", "published"]
POINTS = [
    "straight_family:claimed",  # the step has not begun
    *[f"commit:{moment}" for moment in SPAWN],
    *[f"straight_family:{moment}" for moment in PARK],  # until its children have ended
    "straight_family:claimed#2",  # woken by the last of them
    *[f"straight_family:{moment}#2" for moment in PARK],  # until the signal comes
    "straight_family:claimed#3",  # woken by it
    *[f"straight_family:{moment}#3" for moment in END],
]
STATEMENTS = 28
"""A worker that is not killed sends a few more."""


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_straight_line_step_comes_to_the_same_end_although_its_worker_was_killed_there(
    sweeping: Fleet, tmp_path: Path, point: str
) -> None:
    task = comes_to_its_end(sweeping, tmp_path, point)
    assert sorted(note.split()[0] for note in notes(tmp_path)) == ["first", "last"]
    assert len(rows.events(sweeping.client, task.id, "finished")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, STATEMENTS + 1))
def test_a_straight_line_step_comes_to_the_same_end_although_its_worker_was_killed_before_this_statement(
    sweeping: Fleet, tmp_path: Path, number: int
) -> None:
    comes_to_its_end(sweeping, tmp_path, f"statement:{number}")
    made = [note.split()[0] for note in notes(tmp_path)]
    assert {what: made.count(what) in (1, 2) for what in made} == {"first": True, "last": True}
    assert len(made) <= 3, "no more than the one call whose outcome was not written is made again"


def comes_to_its_end(sweeping: Fleet, folder: Path, point: str) -> TaskHandle:
    """Run it in a worker that is killed at `point`, then in another one."""
    doomed = sweeping.processes.worker(kill_at=point, quantum_seconds=0, ready=False)
    task = sweeping.client.submit("straight_family", {"folder": str(folder), "members": MEMBERS})
    eventually(lambda: answered(task) and not doomed.is_alive, 40)
    assert doomed.wait_for_exit() == -signal.SIGKILL, doomed.story
    survivor = sweeping.processes.worker(ready=False)
    try:
        eventually(lambda: answered(task) == "completed", 40)
    finally:
        survivor.kill()
    assert task.result(timeout=5) == [*range(MEMBERS), "gone"]
    assert len(task.children()) == MEMBERS
    row = rows.task(sweeping.client, task.id)
    assert (row["children_left"], row["step_number"], row["failures"]) == (0, 1, 0)
    return task


def answered(task: TaskHandle) -> str:
    """Its status; where it waits for its signal, that is sent."""
    snapshot = task.stored()
    if snapshot.waiting_for is not None and snapshot.waiting_for.names == ["go"]:
        task.signal("go", "gone", signal_id="go")
    return snapshot.status
