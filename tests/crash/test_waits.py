"""Signals and timers while processes die around them: none is lost, and each is taken once."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from agent_tasks import AgentTasks, InvalidState, TaskHandle
from tests import agents_family, rows
from tests.agents import notes
from tests.conftest import Fleet, Fragile
from tests.crash.test_killed_workers import runs_on
from tests.eventually import eventually
from tests.processes import Processes

assert agents_family


def waits(task: TaskHandle) -> None:
    eventually(lambda: task.stored().status == "waiting")


def test_a_signal_whose_sender_is_killed_between_commit_and_bell_still_wakes_the_task(fleet: Fleet) -> None:
    task = fleet.client.submit("approval")
    waits(task)
    sender = fleet.processes.python(
        f"""
import os, signal, agent_tasks
from agent_tasks.client import AgentTasks
AgentTasks.publish = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
agent_tasks.get("{task.id}").signal("approval", {{"ok": True}})
"""
    )
    assert sender.wait_for_exit(30) == -signal.SIGKILL, sender.output
    assert task.result(timeout=10)["ok"] is True
    dispatched = rows.events(fleet.client, task.id, "dispatched")
    assert [event["data"] for event in dispatched[1:]] == [None, {"again": True}]


def test_a_worker_killed_between_taking_an_early_signal_and_ringing_loses_neither(
    client: AgentTasks, processes: Processes
) -> None:
    task = client.submit("approval")
    assert not task.signal("approval", {"ok": True}).delivered
    (doomed,) = processes.fleet(kill_at="ask:committed", quantum_seconds=0)
    assert doomed.wait_for_exit(20) == -signal.SIGKILL
    assert task.stored().status == "pending"
    assert [row["consumed_step"] for row in rows.query(client, "SELECT consumed_step FROM signals")] == [1]
    processes.worker()
    assert task.result(timeout=10)["ok"] is True
    assert rows.checkpoints(client, task.id) == [(0, "ask"), (1, "decide")]


def test_a_worker_killed_before_it_has_parked_the_task_leaves_the_signal_in_the_inbox(
    client: AgentTasks, processes: Processes
) -> None:
    (doomed,) = processes.fleet(kill_at="ask:written", lease_seconds=1.0)
    task = client.submit("approval")
    assert doomed.wait_for_exit(20) == -signal.SIGKILL
    assert not task.signal("approval", {"ok": True}).delivered
    processes.worker(lease_seconds=1.0)
    assert task.result(timeout=10)["ok"] is True
    assert rows.checkpoints(client, task.id) == [(0, "ask"), (1, "decide")]


def test_a_signal_comes_while_the_worker_that_parks_the_task_is_between_commit_and_publish(
    client: AgentTasks, processes: Processes
) -> None:
    (slow,) = processes.fleet(kill_at="ask:committed", kill_with="SIGSTOP", quantum_seconds=0, lease_seconds=1.0)
    task = client.submit("approval")
    waits(task)
    assert task.signal("approval", {"ok": True}).delivered
    processes.worker(ready=False, lease_seconds=1.0)
    assert task.result(timeout=20)["ok"] is True
    ended = task.stored()
    slow.send(signal.SIGCONT)  # now it publishes that the task waits
    assert client.submit_many("echo", [{"value": 1}] * 20)[-1].result(timeout=20) == 1
    assert client.get(task.id).snapshot() == ended
    assert client.publisher.mirror.get(task.id) == ended
    assert len(rows.events(client, task.id, "claimed")) == 2


def test_of_many_senders_that_race_for_one_wait_one_wins_and_all_others_are_told(fleet: Fleet) -> None:
    def send(task: TaskHandle, number: int) -> str:
        try:
            return "wins" if task.signal("approval", {"ok": number % 2 == 0}).delivered else "kept"
        except InvalidState:
            return "refused"

    with ThreadPoolExecutor(6) as threads:
        for _ in range(15):
            task = fleet.client.submit("approval")
            waits(task)
            receipts = list(threads.map(lambda number, task=task: send(task, number), range(6)))
            assert receipts.count("wins") == 1
            task.result(timeout=10)
            found = rows.query(fleet.client, "SELECT payload, consumed_step FROM signals WHERE task_id = %s", task.id)
            assert len(found) == 6 - receipts.count("refused")
            (taken,) = [row for row in found if row["consumed_step"] is not None]
            assert task.stored().result["ok"] == taken["payload"]["ok"] == (receipts.index("wins") % 2 == 0)


def test_of_signals_that_race_with_waits_each_is_taken_once_and_in_order(fleet: Fleet) -> None:
    task = fleet.client.submit("hops_and_waits", {"waits": 40})
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: task.signal("answer", number, signal_id=str(number)), range(40)))
        list(threads.map(lambda number: task_takes_no_repeat(task, number), range(40)))
    answers = task.result(timeout=30)
    assert sorted(answers) == list(range(40))
    taken = rows.query(fleet.client, "SELECT payload FROM signals WHERE task_id = %s ORDER BY seq", task.id)
    assert answers == [row["payload"] for row in taken]


def task_takes_no_repeat(task: TaskHandle, number: int) -> None:
    try:
        assert not task.signal("answer", -1, signal_id=str(number)).kept
    except InvalidState:
        assert task.stored().status == "completed"


def test_a_timer_fires_once_although_everything_was_killed_while_the_task_slept(
    fragile: Fragile, tmp_path: Path
) -> None:
    fragile.processes.fleet()
    task = fragile.client.submit("napper", {"folder": str(tmp_path), "seconds": 1.0})
    waits(task)
    for process in fragile.processes.all:
        process.kill()
    for server in (fragile.servers.postgres, fragile.servers.valkey):
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        eventually(lambda pid=pid: not psutil.pid_exists(pid))
        server.start()
    eventually(lambda: due(fragile.client, task))
    assert task.stored().status == "waiting"
    started = [fragile.processes.worker(ready=False)]
    started += [start(ready=False) for start in (fragile.processes.sweeper, fragile.processes.beat) for _ in range(2)]
    fragile.processes.wait_until_ready(*started)
    assert task.result(timeout=15) == "risen"
    assert_fired_once(fragile.client, task)
    assert len(runs_on(tmp_path, "rises")) == 1


def due(client: AgentTasks, task: TaskHandle) -> bool:
    sql = "SELECT FROM tasks WHERE id = %s AND due_at < clock_timestamp()"
    return bool(rows.query(client, sql, task.id))


def assert_fired_once(client: AgentTasks, task: TaskHandle) -> None:
    told: list[Any] = [event["data"] for event in rows.events(client, task.id, "dispatched")]
    assert told.count({"due": True}) == 1
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
    parked = "SELECT count(*) AS n FROM tasks WHERE status = 'waiting'"
    eventually(lambda: rows.query(client, parked) == [{"n": 60}], 20)
    with client.database.transaction() as connection:  # all at once; and of each schedule three firings were missed
        connection.execute("UPDATE tasks SET due_at = clock_timestamp()")
        connection.execute("UPDATE schedules SET next_at = clock_timestamp() - interval '3.5 hours'")
    assert {task.result(timeout=30) for task in timers} == {"risen"}
    fired = "SELECT id FROM tasks WHERE agent = 'echo' AND status = 'completed'"
    eventually(lambda: len(rows.query(client, fired)) >= 20)
    for task in timers:
        assert_fired_once(client, task)
    assert len(notes(tmp_path)) == 60
    values = rows.query(client, "SELECT (input ->> 'value')::int AS value FROM tasks WHERE agent = 'echo' ORDER BY 1")
    assert [row["value"] for row in values] == list(range(20))
    assert not rows.query(client, "SELECT FROM schedules WHERE next_at <= clock_timestamp()")
