"""Beats and sweepers die, come back, and are too many at once; no step is lost and none is done twice."""

import signal
from pathlib import Path
from typing import Any

import pytest

from agent_tasks import AgentTasks
from agent_tasks.doorbell.lists import OURS
from tests import rows
from tests.agents import notes
from tests.crash.test_killed_workers import runs_on
from tests.eventually import eventually
from tests.processes import Processes


@pytest.mark.parametrize(
    "victims",
    [
        "beat and sweeper",
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("beat", "sweeper", "worker and beat")),
    ],
)
def test_what_a_dead_process_left_behind_goes_on_once_it_is_back(
    client: AgentTasks, processes: Processes, tmp_path: Path, victims: str
) -> None:
    doomed, sweeper, beat = processes.worker(ready=False), processes.sweeper(ready=False), processes.beat(ready=False)
    processes.wait_until_ready(doomed, sweeper, beat)
    task = client.submit("relay", {"folder": str(tmp_path)})
    eventually(lambda: [c["status"] for c in rows.calls(client, task.id)] == ["completed"])
    for name, process in (("beat", beat), ("sweeper", sweeper)):
        if name in victims:
            process.kill()
    doomed.kill()
    back = [processes.worker(ready=False)]
    if "beat" in victims:
        back.append(processes.beat(ready=False))
    if "sweeper" in victims:
        back.append(processes.sweeper(ready=False))
    processes.wait_until_ready(*back)
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    assert notes(tmp_path).count("paid") == 1
    assert len(runs_on(tmp_path, "held")) == 2
    assert rows.checkpoints(client, task.id) == [(0, "first"), (1, "held"), (2, "last")]


def test_a_chain_needs_neither_beat_nor_sweeper_while_nothing_fails(client: AgentTasks, processes: Processes) -> None:
    processes.worker()
    assert client.submit("hops", {"to": 30}).result(timeout=30) == 30


def test_two_beats_and_five_sweepers_at_once_do_no_harm(client: AgentTasks, processes: Processes) -> None:
    fast: dict[str, Any] = {"ring_seconds": 0.05, "sweep_seconds": 0.05, "lease_seconds": 30.0}
    workers = [processes.worker(ready=False, lease_seconds=30.0) for _ in range(2)]
    others = [start(ready=False, **fast) for start in [processes.sweeper] * 5 + [processes.beat] * 2]
    processes.wait_until_ready(*workers, *others)
    short = {"ring_seconds": 0.05}
    vars(client.settings).update(short)  # bells are rung again at once
    for worker in workers:
        worker.send(signal.SIGSTOP)
    tasks = client.submit_many("hops", [{"to": 8}] * 30) + client.submit_many("flaky_hops", [{"to": 4}] * 10)
    client.redis.delete(*OURS.of("agents"))  # where bells are still queued, no more are rung
    eventually(lambda: rows.query(client, "SELECT FROM agent_tasks.events WHERE data ->> 'again' IS NOT NULL"))
    for worker in workers:
        worker.send(signal.SIGCONT)
    for task in tasks:
        task.wait(timeout=90)
    committed = rows.query(
        client,
        "SELECT agent, count(*) FROM agent_tasks.tasks JOIN agent_tasks.checkpoints ON id = task_id GROUP BY agent",
    )
    assert {row["agent"]: row["count"] for row in committed} == {"hops": 30 * 9, "flaky_hops": 10 * 5}
    ended = rows.query(
        client, "SELECT count(*), count(DISTINCT task_id) AS tasks FROM agent_tasks.events WHERE type = 'finished'"
    )
    assert ended == [{"count": 40, "tasks": 40}]
    claims = rows.query(
        client,
        """
        SELECT agent, data ->> 'step_number' AS step, data ->> 'attempt' AS attempt, count(*)
        FROM agent_tasks.tasks JOIN agent_tasks.events ON id = task_id
        WHERE type = 'claimed' GROUP BY id, agent, 2, 3 HAVING count(*) > 1
        """,
    )
    assert claims == []
    assert not rows.query(client, "SELECT FROM agent_tasks.events WHERE type = 'expired'")


@pytest.mark.slow
def test_a_stopped_sweeper_that_wakes_up_does_no_harm(client: AgentTasks, processes: Processes, tmp_path: Path) -> None:
    doomed, sleeper, other = (
        processes.worker(ready=False),
        processes.sweeper(ready=False),
        processes.sweeper(ready=False),
    )
    processes.wait_until_ready(doomed, sleeper, other, processes.beat(ready=False))
    task = client.submit("relay", {"folder": str(tmp_path)})
    eventually(lambda: "paid" in notes(tmp_path))
    sleeper.send(signal.SIGSTOP)
    doomed.kill()
    processes.worker()
    eventually(lambda: len(runs_on(tmp_path, "held")) == 2)
    sleeper.send(signal.SIGCONT)
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    assert len(rows.events(client, task.id, "expired")) == 1
