"""Signals that race with waits, with each other and with the death of their sender: each is taken once."""

import signal
from concurrent.futures import ThreadPoolExecutor

from agent_tasks import InvalidState, TaskHandle
from tests import rows
from tests.conftest import Fleet
from tests.eventually import eventually


def waits(task: TaskHandle) -> None:
    eventually(lambda: task.stored().status == "waiting")


def test_a_signal_whose_sender_is_killed_between_commit_and_bell_still_wakes_the_task(fleet: Fleet) -> None:
    task = fleet.client.submit("approval")
    waits(task)
    sender = fleet.processes.python(
        f"""
import os, signal, agent_tasks
from agent_tasks import moments
moments.watch(lambda moment, *_: moment == "committed" and os.kill(os.getpid(), signal.SIGKILL))
agent_tasks.get("{task.id}").signal("approval", {{"ok": True}})
"""
    )
    assert sender.wait_for_exit() == -signal.SIGKILL, sender.output
    assert task.result(timeout=30)["ok"] is True
    dispatched = rows.events(fleet.client, task.id, "dispatched")
    assert [event["data"] for event in dispatched[1:3]] == [None, {"again": True}]


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
            task.result(timeout=30)
            found = rows.query(
                fleet.client, "SELECT payload, consumed_step FROM agent_tasks.signals WHERE task_id = %s", task.id
            )
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
    taken = rows.query(fleet.client, "SELECT payload FROM agent_tasks.signals WHERE task_id = %s ORDER BY seq", task.id)
    assert answers == [row["payload"] for row in taken]


def task_takes_no_repeat(task: TaskHandle, number: int) -> None:
    try:
        assert not task.signal("answer", -1, signal_id=str(number)).kept
    except InvalidState:
        assert task.stored().status == "completed"
