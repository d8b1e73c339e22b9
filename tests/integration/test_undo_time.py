"""The time of an undo is its own: it is not the task's, it is bounded, and a cancel shortens it."""

from pathlib import Path

from agent_tasks import AgentTasks, Budget
from agent_tasks.task.snapshot import TaskSnapshot
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes


def not_undone(snapshot: TaskSnapshot) -> list[tuple[str, str]]:
    assert snapshot.error is not None
    assert snapshot.error.details["undone"] == []
    return [(step["step"], step["error"]) for step in snapshot.error.details["not_undone"]]


def test_an_undo_that_hangs_is_given_up_after_its_own_time(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    processes.fleet(undo_seconds=1.5)
    snapshot = client.submit("undone_slowly", {"folder": str(tmp_path)}).wait(timeout=30)
    assert snapshot.status == "failed"
    plain, later = not_undone(snapshot)
    assert plain[0] == "done_plainly"
    assert later[0] == "done_first"
    assert all("did not end within 1.5 s (AGENT_TASKS_UNDO_SECONDS)" in error for _, error in (plain, later))
    assert len(notes(tmp_path)) == 2, "each was tried once"


def test_an_undo_after_a_timeout_is_not_told_that_the_tasks_time_is_over(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    processes.fleet()
    task = client.submit("undone_slowly", {"folder": str(tmp_path), "fail": False}, budget=Budget(seconds=2))
    eventually(lambda: notes(tmp_path))
    (tmp_path / "go").touch()
    snapshot = task.wait(timeout=30)
    assert snapshot.status == "timeout"
    assert snapshot.error is not None
    assert len(snapshot.error.details["undone"]) == 2
    assert notes(tmp_path) == ["undoes plainly, cancelled=False", "undoes, cancelled=False"]


def test_a_cancel_leaves_an_undo_that_runs_a_little_time_and_then_gives_it_up(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    processes.fleet()
    task = client.submit("undone_slowly", {"folder": str(tmp_path)})
    eventually(lambda: len(notes(tmp_path)) == 1)
    assert task.cancel().status == "running"
    eventually(lambda: len(notes(tmp_path)) == 2)
    assert task.cancel().status == "running"
    snapshot = task.wait(timeout=30)
    assert snapshot.status == "failed", "its end was decided before"
    assert all("(the task was cancelled again)" in error for _, error in not_undone(snapshot))
