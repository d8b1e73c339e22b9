"""Workers die in the middle of an undo: it goes on where it was, and no step is undone twice to commit."""

import signal
from pathlib import Path

import pytest

from agent_tasks import AgentTasks
from tests import rows
from tests.agents import notes
from tests.agents_children import journey
from tests.conftest import Fleet
from tests.crash.test_fan_out import sweeping as sweeping
from tests.eventually import eventually

POINTS = [
    # where the worker is killed           # what is undone and committed then, and whether that undo begins again
    ("travel:returned", 0, False),  # the step has failed, nothing is written
    ("undo:book_three:claimed", 0, False),
    ("undo:book_three:returned", 0, True),  # undone, and not committed
    ("undo:book_three:committed", 1, False),  # committed; the bell of the next undo has not rung
    ("undo:book_three:published", 1, False),
    ("undo:book_two:returned", 1, True),
    ("undo:book_one:returned", 2, True),
    ("undo:book_one:committed", 3, False),  # all is undone, the task has ended, nobody is told
]
# The others are beside these in the code, and are run with the slow tests.
USUAL = {"travel:returned", "undo:book_three:returned", "undo:book_three:committed", "undo:book_one:committed"}


def assert_undone_once(client: AgentTasks, task_id: object) -> None:
    row = rows.query(client, "SELECT * FROM agent_tasks.tasks WHERE id = %s", task_id)[0]
    assert row["status"] == "failed"
    assert [step["step"] for step in row["error"]["details"]["undone"]] == ["book_three", "book_two", "book_one"]
    assert row["error"]["details"]["not_undone"] == []
    events = rows.events(client, row["id"], "undone", "not_undone", "finished")
    assert [event["type"] for event in events] == ["undone"] * 3 + ["finished"]
    assert [event["data"]["step"] for event in events[:3]] == ["book_three", "book_two", "book_one"]


def unbooked(folder: Path) -> list[int]:
    return [int(line.split()[1]) for line in notes(folder) if line.startswith("unbooks")]


@pytest.mark.parametrize(
    ("point", "undone", "again"),
    [pytest.param(*at, id=at[0], marks=[] if at[0] in USUAL else pytest.mark.slow) for at in POINTS],
)
def test_an_undo_goes_on_where_it_was_when_its_worker_is_killed_there(
    sweeping: Fleet, tmp_path: Path, point: str, undone: int, again: bool
) -> None:
    (tmp_path / "go").touch()
    doomed = sweeping.processes.worker(kill_at=point, quantum_seconds=0, ready=False)
    task = sweeping.client.submit(journey, {"folder": str(tmp_path)})
    assert doomed.wait_for_exit() == -signal.SIGKILL, doomed.story
    assert len(rows.events(sweeping.client, task.id, "undone")) == undone
    survivor = sweeping.processes.worker(ready=False)
    try:
        assert task.wait(timeout=30).status == "failed"
    finally:
        survivor.kill()
    assert_undone_once(sweeping.client, task.id)
    repeated = [3, 2, 1][undone] if again else None
    assert unbooked(tmp_path) == sorted([1, 2, 3] + ([repeated] if repeated else []), reverse=True)
    assert notes(tmp_path).count("refunded") == 1


def test_an_undo_that_was_killed_in_its_function_runs_again_with_its_recorded_calls(
    sweeping: Fleet, tmp_path: Path
) -> None:
    client, processes = sweeping.client, sweeping.processes
    doomed = processes.worker()
    task = client.submit(journey, {"folder": str(tmp_path)})
    eventually(lambda: [call["status"] for call in rows.calls(client, task.id)] == ["completed"])
    doomed.kill()
    survivor = processes.worker()
    eventually(lambda: unbooked(tmp_path) == [3, 2, 2])
    (tmp_path / "go").touch()
    assert task.wait(timeout=30).status == "failed"
    assert_undone_once(client, task.id)
    assert unbooked(tmp_path) == [3, 2, 2, 1]
    assert notes(tmp_path).count("refunded") == 1
    survivor.kill()


def test_a_stale_undo_cannot_commit_after_another_worker_took_it_over(sweeping: Fleet, tmp_path: Path) -> None:
    client = sweeping.client
    workers = [sweeping.processes.worker(ready=False) for _ in range(2)]
    sweeping.processes.wait_until_ready(*workers)
    task = client.submit(journey, {"folder": str(tmp_path)})
    eventually(lambda: "refunded" in notes(tmp_path))
    held = int(next(line for line in notes(tmp_path) if line.startswith("unbooks 2")).split()[2])
    stale = next(worker for worker in workers if worker.pid == held)
    stale.send_all(signal.SIGSTOP)
    eventually(lambda: unbooked(tmp_path).count(2) == 2)
    (tmp_path / "go").touch()
    assert task.wait(timeout=30).status == "failed"
    ended = task.stored()
    stale.send_all(signal.SIGCONT)
    eventually(lambda: "result dropped" in stale.output or "lease lost" in stale.output)
    assert task.stored() == ended
    assert_undone_once(client, task.id)
    for worker in workers:
        worker.kill()
