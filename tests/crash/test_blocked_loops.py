"""An event loop that a step blocks is replaced: that step fails, and all others go on."""

from pathlib import Path

import pytest

from agent_tasks import AgentTasks, Budget
from tests import rows
from tests.agents import notes
from tests.crash.test_killed_workers import runs_on
from tests.crash.test_starting_workers import for_seconds
from tests.eventually import eventually
from tests.processes import Processes

PLACES = ["step", "gathered", "callback"]


def folders(tmp_path: Path, *names: str) -> list[Path]:
    made = [tmp_path / name for name in names]
    for folder in made:
        folder.mkdir()
    return made


@pytest.mark.parametrize(
    ("pool", "where"),
    [
        ("threads", "step"),
        ("prefork", "step"),
        pytest.param("threads", "gathered", marks=pytest.mark.slow),
        pytest.param("threads", "callback", marks=pytest.mark.slow),
    ],
)
def test_a_step_that_blocks_the_loop_fails_and_those_that_wait_on_it_run_again(
    client: AgentTasks, processes: Processes, tmp_path: Path, pool: str, where: str
) -> None:
    (worker,) = processes.fleet(pool=pool, concurrency=1)
    held, blocking = folders(tmp_path, "held", "blocking")
    beside = client.submit("patient", {"folder": str(held)})
    eventually(lambda: runs_on(held, "waits"))
    blocker = client.submit("blocks_until_go", {"folder": str(blocking), "where": where})
    snapshot = blocker.wait(timeout=30)
    assert snapshot.error is not None
    assert snapshot.error.type == "step_failed"
    assert snapshot.error.details["blocked_seconds"] >= 1
    assert all(word in snapshot.error.message for word in ("blocked the event loop", "ctx.call", "asyncio.to_thread"))
    assert "in block" in rows.task(client, blocker.id)["traceback"]
    assert "event loop replaced" in worker.output
    assert "step=blocks_until_go.blocks_until_go" in worker.output
    assert client.submit("count", {"to": 3}).result(timeout=30) == 3
    eventually(lambda: len(runs_on(held, "waits")) == 2)
    (held / "go").touch()
    assert beside.result(timeout=30) == "done"
    assert len(set(runs_on(held, "waits"))) == 1, "in the same process"
    row = rows.task(client, beside.id)
    assert (row["crashes"], row["suspect"], row["attempt"], row["uncounted"]) == (0, 0, 1, 1)
    (blocking / "go").touch()


def test_a_blocked_loop_that_is_not_yet_replaced_costs_no_lease(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    processes.worker(concurrency=1, overrun_seconds=60.0)
    processes.wait_until_ready(processes.sweeper(ready=False), processes.beat(ready=False))
    task = client.submit("blocks_until_go", {"folder": str(tmp_path)})
    eventually(lambda: notes(tmp_path))
    for_seconds(1.5 * client.settings.lease_seconds, lambda: task.stored().status == "running")
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    assert rows.runs(client, task.id) == [1]


def test_what_a_step_left_behind_to_block_the_loop_fails_no_other_step(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (worker,) = processes.fleet(concurrency=1)
    held, blocking = folders(tmp_path, "held", "blocking")
    beside = client.submit("patient", {"folder": str(held)})
    eventually(lambda: runs_on(held, "waits"))
    assert client.submit("blocks_until_go", {"folder": str(blocking), "where": "later"}).result(timeout=30) == "done"
    eventually(lambda: "event loop replaced" in worker.output)
    assert "step=blocks_until_go.blocks_until_go" in worker.output
    (held / "go").touch()
    assert beside.result(timeout=30) == "done"
    (blocking / "go").touch()


def test_a_call_of_a_plain_step_that_blocks_the_loop_fails_its_step_and_those_of_others_are_made_again(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    processes.fleet(concurrency=2)
    resting, blocking = folders(tmp_path, "resting", "blocking")
    beside = client.submit("rests_from_a_plain_step", {"folder": str(resting)})
    eventually(lambda: notes(resting))
    blocker = client.submit("blocks_from_a_plain_step", {"folder": str(blocking)})
    snapshot = blocker.wait(timeout=30)
    assert snapshot.error is not None
    assert snapshot.error.details["blocked_seconds"] >= 1
    eventually(lambda: len(notes(resting)) == 2)
    (resting / "go").touch()
    assert beside.result(timeout=30) == "rested"
    (blocking / "go").touch()


def test_a_blocker_whose_time_is_over_ends_as_timeout(client: AgentTasks, processes: Processes, tmp_path: Path) -> None:
    processes.fleet(concurrency=1)
    blocker = client.submit("blocks_until_go", {"folder": str(tmp_path)}, budget=Budget(seconds=0.5))
    assert blocker.wait(timeout=30).status == "timeout"
    (tmp_path / "go").touch()


@pytest.mark.slow
def test_a_process_whose_loops_are_blocked_again_and_again_replaces_itself(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (worker,) = processes.fleet(concurrency=2, drain_seconds=1)
    for number in range(3):
        task = client.submit("blocks_until_go", {"folder": str(tmp_path)})
        assert task.wait(timeout=30).status == "failed", number
    eventually(lambda: "too many event loops are blocked: blocked=3" in worker.output)
    assert client.submit("count", {"to": 3}).result(timeout=40) == 3
    (tmp_path / "go").touch()


def test_a_loop_that_has_much_to_do_is_not_taken_for_a_blocked_one(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    """Each step computes for a tenth of the limit between its pauses; a turn of the loop takes twice the limit."""
    (worker,) = processes.fleet(concurrency=2)
    tasks = client.submit_many("computes", [{"folder": str(tmp_path), "seconds": 0.1, "times": 2}] * 20)
    eventually(lambda: len(notes(tmp_path)) == 20)
    (tmp_path / "go").touch()
    assert [task.result(timeout=60) for task in tasks] == ["done"] * 20
    assert "event loop replaced" not in worker.output
