"""Workers that are stopped or killed below a parent: it is in time, and what had completed is not run again."""

import signal
from pathlib import Path

from agent_tasks import AgentTasks, Budget
from tests import rows
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes


def test_a_parent_goes_on_at_its_reserve_while_a_childs_worker_is_stopped_and_the_late_child_changes_nothing(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (stopped,) = processes.fleet(ring_seconds=0.3, lease_seconds=8.0)
    family = [{"agent": "held_member", "input": {"folder": str(tmp_path), "index": index}} for index in range(2)]
    task = client.submit("foreman", {"family": family, "reserve": 25.0}, budget=Budget(seconds=30))
    halves = "SELECT FROM agent_tasks.tasks WHERE partial IS NOT NULL"
    eventually(lambda: len(rows.query(client, halves)) == 2)
    stopped.send_all(signal.SIGSTOP)
    processes.worker(ring_seconds=0.3, lease_seconds=8.0, ready=False)
    snapshot = task.wait(timeout=40)
    assert snapshot.status == "partial", snapshot.error
    assert [(c["status"], c["result"]) for c in snapshot.result] == [("partial", "half of 0"), ("partial", "half of 1")]
    assert snapshot.budget.spent.seconds <= 30
    before = (
        rows.query(client, "SELECT * FROM agent_tasks.tasks ORDER BY id"),
        rows.query(client, "SELECT * FROM agent_tasks.events ORDER BY 1, 2"),
    )
    (tmp_path / "go").touch()
    stopped.send_all(signal.SIGCONT)
    eventually(lambda: [line.split()[0] for line in notes(tmp_path)].count("ends") == 2)
    assert client.submit_many("echo", [{"value": 1}] * 20)[-1].result(timeout=30) == 1
    after = (
        rows.query(client, "SELECT * FROM agent_tasks.tasks WHERE agent <> 'echo' ORDER BY id"),
        rows.query(
            client,
            "SELECT events.* FROM agent_tasks.events JOIN agent_tasks.tasks ON id = task_id "
            "WHERE agent <> 'echo' ORDER BY 1, 2",
        ),
    )
    assert after == before


def test_a_tree_whose_worker_was_killed_is_resumed_with_what_had_completed(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    (doomed,) = processes.fleet()
    counted = {"agent": "counted", "input": {"folder": str(tmp_path), "name": "a"}}
    held = {"agent": "relay", "input": {"folder": str(tmp_path)}}
    task = client.submit(
        "foreman", {"family": [counted, held]}, budget=Budget(seconds=60, tokens=100, steps=50, calls=9)
    )
    completed = "SELECT FROM agent_tasks.tasks WHERE agent = 'counted' AND status = 'completed'"
    paid = "SELECT FROM agent_tasks.calls WHERE status = 'completed'"
    eventually(lambda: rows.query(client, completed) and rows.query(client, paid))
    doomed.kill()
    assert task.cancel().status == "cancelled"
    again = task.resume()
    (tmp_path / "go").touch()
    second = processes.worker(kill_at="last:committed", quantum_seconds=0, ready=False)
    assert second.wait_for_exit() == -signal.SIGKILL
    processes.worker()
    assert [child["result"] for child in again.result(timeout=30)] == ["a", "done"]
    assert [notes(tmp_path).count(line) for line in ("counted a", "paid")] == [1, 1]
    resumed = rows.task(client, again.id)
    assert [resumed[f"reserved_{name}"] for name in ("tokens", "usd", "steps", "calls")] == [0] * 4
    assert resumed["children_left"] == 0
    assert not rows.query(client, "SELECT FROM agent_tasks.tasks WHERE finished_at IS NULL")
