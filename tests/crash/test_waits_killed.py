"""Signals and timers while processes die around them: none is lost, and each is taken once."""

import os
import signal
from pathlib import Path
from typing import Any

from agent_tasks import AgentTasks, TaskHandle
from tests import rows
from tests.agents import notes
from tests.conftest import Fragile
from tests.crash.test_killed_workers import runs_on
from tests.database import fall_due
from tests.eventually import eventually
from tests.mirrors import mirror_of
from tests.processes import Processes


def waits(task: TaskHandle) -> None:
    eventually(lambda: task.stored().status == "waiting")


def test_a_worker_killed_between_taking_an_early_signal_and_ringing_loses_neither(
    client: AgentTasks, processes: Processes
) -> None:
    task = client.submit("approval")
    assert not task.signal("approval", {"ok": True}).delivered
    (doomed,) = processes.fleet(kill_at="ask:committed", quantum_seconds=0)
    assert doomed.wait_for_exit() == -signal.SIGKILL
    assert task.stored().status == "pending"
    assert [row["consumed_step"] for row in rows.query(client, "SELECT consumed_step FROM agent_tasks.signals")] == [1]
    processes.worker()
    assert task.result(timeout=30)["ok"] is True
    assert rows.checkpoints(client, task.id) == [(0, "ask"), (1, "decide")]


def test_a_worker_killed_before_it_has_parked_the_task_leaves_the_signal_in_the_inbox(
    client: AgentTasks, processes: Processes
) -> None:
    (doomed,) = processes.fleet(kill_at="ask:written", lease_seconds=1.0)
    task = client.submit("approval")
    assert doomed.wait_for_exit() == -signal.SIGKILL
    assert not task.signal("approval", {"ok": True}).delivered
    processes.worker(lease_seconds=1.0)
    assert task.result(timeout=30)["ok"] is True
    assert rows.checkpoints(client, task.id) == [(0, "ask"), (1, "decide")]


def test_a_signal_comes_while_the_worker_that_parks_the_task_is_between_commit_and_publish(
    client: AgentTasks, processes: Processes
) -> None:
    (slow,) = processes.fleet(kill_at="ask:committed", kill_with="SIGSTOP", quantum_seconds=0, lease_seconds=1.0)
    task = client.submit("approval")
    waits(task)
    assert task.signal("approval", {"ok": True}).delivered
    processes.worker(ready=False, lease_seconds=1.0)
    assert task.result(timeout=30)["ok"] is True
    ended = task.stored()
    slow.send(signal.SIGCONT)  # now it publishes that the task waits
    assert client.submit_many("echo", [{"value": 1}] * 20)[-1].result(timeout=30) == 1
    assert client.get(task.id).snapshot() == ended
    assert mirror_of(client).get(task.id) == ended
    assert len(rows.events(client, task.id, "claimed")) == 2


def test_a_timer_fires_once_although_everything_was_killed_while_the_task_slept(
    fragile: Fragile, tmp_path: Path
) -> None:
    fragile.processes.fleet()
    task = fragile.client.submit("napper", {"folder": str(tmp_path), "seconds": 3600.0})
    waits(task)
    for process in fragile.processes.all:
        process.kill()
    for server in (fragile.servers.postgres, fragile.servers.valkey):
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        server.start()
    assert task.stored().status == "waiting"
    fall_due(fragile.client, task.id)
    started = [fragile.processes.worker(ready=False)]
    started += [start(ready=False) for start in (fragile.processes.sweeper, fragile.processes.beat) for _ in range(2)]
    fragile.processes.wait_until_ready(*started)
    assert task.result(timeout=30) == "risen"
    assert_fired_once(fragile.client, task)
    assert len(runs_on(tmp_path, "rises")) == 1


def assert_fired_once(client: AgentTasks, task: TaskHandle) -> None:
    dispatched: list[Any] = [event["data"] for event in rows.events(client, task.id, "dispatched")]
    assert dispatched.count({"due": True}) == 1
    assert rows.checkpoints(client, task.id) == [(0, "nap"), (1, "rise")]


def test_two_beats_and_two_sweepers_fire_each_timer_and_each_schedule_once(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    fast = {"sweep_seconds": 0.05}
    started = [processes.worker(ready=False, concurrency=8)]
    started += [start(ready=False, **fast) for start in (processes.sweeper, processes.beat) for _ in range(2)]
    processes.wait_until_ready(*started)
    timers = client.submit_many("napper", [{"folder": str(tmp_path), "seconds": 3600.0}] * 60)
    for number in range(20):
        client.schedule("echo", {"value": number}, name=f"schedule {number}", every=3600)
    parked = "SELECT count(*) AS n FROM agent_tasks.tasks WHERE status = 'waiting'"
    eventually(lambda: rows.query(client, parked) == [{"n": 60}])
    with client.database.transaction() as connection:  # all at once; and of each schedule three firings were missed
        connection.execute("UPDATE agent_tasks.tasks SET due_at = clock_timestamp()")
        connection.execute("UPDATE agent_tasks.schedules SET next_at = clock_timestamp() - interval '3.5 hours'")
    assert {task.result(timeout=30) for task in timers} == {"risen"}
    fired = "SELECT id FROM agent_tasks.tasks WHERE agent = 'echo' AND status = 'completed'"
    eventually(lambda: len(rows.query(client, fired)) >= 20)
    for task in timers:
        assert_fired_once(client, task)
    assert len(notes(tmp_path)) == 60
    values = rows.query(
        client, "SELECT (input ->> 'value')::int AS value FROM agent_tasks.tasks WHERE agent = 'echo' ORDER BY 1"
    )
    assert [row["value"] for row in values] == list(range(20))
    assert not rows.query(client, "SELECT FROM agent_tasks.schedules WHERE next_at <= clock_timestamp()")
