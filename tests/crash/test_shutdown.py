"""SIGTERM: short steps finish, long ones are given back and go on elsewhere at once, and the process ends."""

import signal
from pathlib import Path

import pytest

from agent_tasks import AgentTasks, Budget
from tests import rows
from tests.crash.test_killed_workers import owner, runs_on
from tests.eventually import eventually
from tests.processes import Processes, Running

LEASE = 90.0
"""Long: what goes on before its end was given back."""

pools_and_whom = pytest.mark.parametrize(
    ("pool", "whom"),
    [
        ("threads", "the worker"),
        ("prefork", "its whole group"),
        pytest.param("threads", "its whole group", marks=pytest.mark.slow),
        pytest.param("prefork", "the worker", marks=pytest.mark.slow),
    ],
)
usually_threads = pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.slow)])


def tell(worker: Running, whom: str) -> None:
    """SIGTERM, as `kill` sends it, or as systemd, honcho and Heroku do."""
    worker.send(signal.SIGTERM) if whom == "the worker" else worker.send_all(signal.SIGTERM)


@pools_and_whom
@pytest.mark.parametrize("agent", ["brief", "brief_plain"])
def test_a_running_step_finishes_before_its_worker_ends(
    client: AgentTasks, processes: Processes, tmp_path: Path, pool: str, whom: str, agent: str
) -> None:
    worker = processes.worker(pool=pool, concurrency=2, lease_seconds=LEASE, drain_seconds=10)
    task = client.submit(agent, {"folder": str(tmp_path), "seconds": 1.0})
    eventually(lambda: runs_on(tmp_path, "begins"))
    tell(worker, whom)
    assert worker.wait_for_exit() == 0
    assert task.stored().status == "completed"
    assert len(runs_on(tmp_path, "begins")) == 1
    assert not rows.query(client, "SELECT FROM agent_tasks.workers WHERE stopped_at IS NULL")


@pools_and_whom
@pytest.mark.parametrize("agent", ["patient", pytest.param("attentive", marks=pytest.mark.slow), "inattentive"])
def test_a_step_that_goes_on_is_given_back_and_another_worker_has_it_at_once(
    client: AgentTasks, processes: Processes, tmp_path: Path, pool: str, whom: str, agent: str
) -> None:
    workers = processes.fleet(workers=2, pool=pool, concurrency=2, lease_seconds=LEASE, drain_seconds=0.5)
    task = client.submit(agent, {"folder": str(tmp_path)})
    (first,) = eventually(lambda: runs_on(tmp_path, "waits"))
    leaving = owner(workers, first)
    tell(leaving, whom)
    eventually(lambda: len(runs_on(tmp_path, "waits")) == 2)
    assert leaving.wait_for_exit() == 0
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    assert [e["type"] for e in rows.events(client, task.id, "released", "expired")] == ["released"]
    assert rows.task(client, task.id)["crashes"] == 0
    assert rows.runs(client, task.id) == [2]


@usually_threads
def test_a_worker_ends_in_bounded_time_although_a_step_of_an_ended_task_never_stops(
    client: AgentTasks, processes: Processes, tmp_path: Path, pool: str
) -> None:
    worker = processes.worker(pool=pool, lease_seconds=LEASE, drain_seconds=1, overrun_seconds=0.5)
    task = client.submit("dies_with_its_slot", {"folder": str(tmp_path)})
    eventually(lambda: runs_on(tmp_path, "blocks"))
    task.cancel()
    eventually(lambda: "slot lost" in worker.output)
    worker.send(signal.SIGTERM)
    assert worker.wait_for_exit() == 0


@usually_threads
def test_a_worker_ends_in_bounded_time_although_a_plain_call_of_a_timed_out_step_never_returns(
    client: AgentTasks, processes: Processes, tmp_path: Path, pool: str
) -> None:
    worker = processes.worker(pool=pool, lease_seconds=LEASE, drain_seconds=1, overrun_seconds=0.5)
    task = client.submit("blocking_call", {"folder": str(tmp_path)}, budget=Budget(seconds=0.5))
    assert task.wait(timeout=30).status == "timeout"
    worker.send(signal.SIGTERM)
    assert worker.wait_for_exit() == 0


@usually_threads
def test_messages_that_reach_a_leaving_worker_are_passed_on(
    client: AgentTasks, processes: Processes, tmp_path: Path, pool: str
) -> None:
    leaving = processes.worker(pool=pool, concurrency=2, lease_seconds=LEASE, drain_seconds=5, ring_seconds=60.0)
    client.submit("brief", {"folder": str(tmp_path), "seconds": 1.0})
    eventually(lambda: runs_on(tmp_path, "begins"))
    leaving.send(signal.SIGTERM)
    tasks = client.submit_many("hops", [{"to": 2}] * 20)
    assert leaving.wait_for_exit() == 0
    processes.worker(pool=pool)
    assert [task.result(timeout=30) for task in tasks] == [2] * 20


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGINT, signal.SIGQUIT))]
)
def test_beat_and_sweeper_end_at_once(processes: Processes, number: signal.Signals) -> None:
    sweeper, beat = processes.sweeper(ready=False), processes.beat(ready=False)
    processes.wait_until_ready(sweeper, beat)
    sweeper.send(number)
    beat.send(number)
    for process in (sweeper, beat):
        process.wait_for_exit()


@pytest.mark.slow
def test_a_cold_shutdown_costs_a_step_its_lease_at_most(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    workers = processes.fleet(workers=2, lease_seconds=1.0, drain_seconds=1)
    task = client.submit("patient", {"folder": str(tmp_path)})
    (first,) = eventually(lambda: runs_on(tmp_path, "waits"))
    owner(workers, first).send(signal.SIGQUIT)
    eventually(lambda: len(runs_on(tmp_path, "waits")) == 2)
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    assert rows.checkpoints(client, task.id) == [(0, "patient")]
