"""SIGKILL in a straight-line step: its calls are made once, its children spawned once, its end is the same."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_tasks import AgentTasks, TaskHandle
from tests import rows
from tests.agents import notes
from tests.conftest import Fleet, fresh_deployment
from tests.eventually import eventually
from tests.processes import Processes

MEMBERS = 3
POINTS = [
    "straight_family:claimed",  # the step has not begun
    "straight_family:halfway",  # its children are half written
    "straight_family:written",  # they are written, nothing is committed
    "straight_family:committed",  # they are committed, no bell has rung
]


@pytest.fixture(scope="module")
def sweeping(server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A sweeper and a beat, and no worker."""
    with fresh_deployment(server_urls, template) as settings:
        settings = settings.model_copy(update={"lease_seconds": 1.0, "ring_seconds": 0.3})
        with Processes(settings, tmp_path_factory.mktemp("fleet")) as processes:
            sweeper, beat = processes.sweeper(ready=False), processes.beat(ready=False)
            processes.wait_until_ready(sweeper, beat)
            client = AgentTasks(settings)
            yield Fleet(settings, client, processes, sweeper)
            client.close()


def waits_for_go(task: TaskHandle) -> bool:
    waiting = task.stored().waiting_for
    return waiting is not None and waiting.names == ["go"]


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_straight_line_step_comes_to_the_same_end_although_its_worker_was_killed_there(
    sweeping: Fleet, tmp_path: Path, point: str
) -> None:
    doomed = sweeping.processes.worker(kill_at=point, quantum_seconds=0, ready=False)
    task = sweeping.client.submit("straight_family", {"folder": str(tmp_path), "members": MEMBERS})
    assert doomed.wait_for_exit(40) == -signal.SIGKILL, doomed.story
    survivor = sweeping.processes.worker(ready=False)
    try:
        eventually(lambda: waits_for_go(task))
        task.signal("go", "gone")
        assert task.result(timeout=30) == [*range(MEMBERS), "gone"]
    finally:
        survivor.kill()
    assert sorted(note.split()[0] for note in notes(tmp_path)) == ["first", "last"]
    assert len(task.children()) == MEMBERS
    row = rows.task(sweeping.client, task.id)
    assert (row["children_left"], row["step_number"], row["failures"]) == (0, 1, 0)
