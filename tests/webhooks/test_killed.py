"""Deliverers and workers killed with SIGKILL: each event comes at least once, in order, and none to whom is gone."""

import json
import random
import signal
from collections import defaultdict
from typing import Any

import pytest

from agent_tasks import AgentTasks
from tests.database import query
from tests.eventually import eventually
from tests.processes import Processes
from tests.webhooks.delivering import deliveries, ended_well, endpoint, statuses, told
from tests.webhooks.receiver import Received, Receiver, receiving

TASKS, KILLS = 12, 6
EVENTS = ["a", "b", "c", "d", "e"]
QUICK: dict[str, Any] = {"webhook_seconds": 0.5}


def accepted_in_order(received: list[Received]) -> dict[str, list[int]]:
    """The sequence numbers that came of each task, each for the first time; whatever came again had come before."""
    came: dict[str, list[int]] = defaultdict(list)
    for each in received:
        data = json.loads(each.body)["data"]
        if data["sequence"] not in came[data["task_id"]]:
            came[data["task_id"]].append(data["sequence"])
    return came


def told_of(client: AgentTasks) -> dict[str, list[int]]:
    """All that was to be told, by task."""
    found: dict[str, list[int]] = defaultdict(list)
    for row in query(client, "SELECT task_id, seq FROM agent_tasks.outbox WHERE task_id IS NOT NULL ORDER BY seq"):
        found[str(row["task_id"])].append(row["seq"])
    return found


@pytest.mark.parametrize("seed", [1])
def test_each_event_is_delivered_at_least_once_and_in_order_whoever_is_killed(
    client: AgentTasks, processes: Processes, seed: int
) -> None:
    chance = random.Random(seed)
    with receiving() as receiver:
        receiver.says["/a"] = [chance.choice([204, 204, 204, 500, "close"]) for _ in range(60)] + [204]
        endpoint(client, f"{receiver.url}/a")
        workers = processes.fleet(workers=2)
        deliverers = [processes.deliverer(**QUICK) for _ in range(2)]
        tasks = [client.submit("crier", {"names": EVENTS, "pause": 0.05}) for _ in range(TASKS)]
        for number in range(KILLS):
            seen = len(receiver.received)
            eventually(lambda seen=seen: len(receiver.received) > seen or statuses(client) == {"delivered"})
            deliverers.pop(chance.randrange(2)).kill()
            deliverers.append(processes.deliverer(ready=False, **QUICK))
            if number == KILLS // 2:
                workers.pop().kill()
        for task in tasks:
            assert task.result(timeout=60) == "cried"
        ended_well(client, 60)
        came = accepted_in_order(receiver.at("/a"))
    to_tell = told_of(client)
    assert len(to_tell) == TASKS
    assert all(len(sequences) >= len(EVENTS) + 2 for sequences in to_tell.values())
    assert came == to_tell


def test_to_whom_is_gone_nothing_is_sent_any_more_whoever_is_killed(client: AgentTasks, processes: Processes) -> None:
    with receiving() as receiver:
        receiver.says["/gone"] = [204, 204, 204, 410]
        gone = endpoint(client, f"{receiver.url}/gone")
        endpoint(client, f"{receiver.url}/a")
        for _ in range(TASKS):
            told(client, 2)
        deliverers = [processes.deliverer(**QUICK) for _ in range(2)]
        while not disabled(client, gone):
            seen = len(receiver.at("/gone"))
            eventually(lambda seen=seen: len(receiver.at("/gone")) > seen or disabled(client, gone))
            deliverers.pop(0).kill()
            deliverers.append(processes.deliverer(ready=False, **QUICK))
        eventually(lambda: over(client, gone))
        for deliverer in deliverers:  # whose requests were on their way when it was disabled
            deliverer.kill()
        seen = len(receiver.at("/gone"))
        query(client, "UPDATE agent_tasks.deliveries SET due_at = clock_timestamp() WHERE due_at IS NOT NULL")
        processes.deliverer(**QUICK)
        told(client, 2)
        eventually(lambda: over(client) and len(receiver.at("/a")) >= 3 * (TASKS + 1), 60)
        assert len(receiver.at("/gone")) == seen
    assert {row["status"] for row in deliveries(client) if row["webhook_id"] != gone} == {"delivered"}


def disabled(client: AgentTasks, webhook_id: Any) -> bool:
    return bool(query(client, "SELECT FROM agent_tasks.webhooks WHERE id = %s AND disabled_why = 'gone'", webhook_id))


def over(client: AgentTasks, webhook_id: Any = None) -> bool:
    return not [
        row for row in deliveries(client) if row["status"] == "pending" and webhook_id in (None, row["webhook_id"])
    ]


def test_what_was_accepted_and_not_written_comes_again_under_its_id(client: AgentTasks, processes: Processes) -> None:
    with receiving(a=["hang", 204]) as receiver:
        endpoint(client, f"{receiver.url}/a")
        told(client, 1)
        doomed = processes.deliverer(**QUICK, pool_size=2)
        eventually(lambda: receiver.at("/a"))
        doomed.kill()
        processes.deliverer(**QUICK)
        ended_well(client)
        first, again, second = receiver.at("/a")
    assert first.headers["webhook-id"] == again.headers["webhook-id"] != second.headers["webhook-id"]
    assert first.body == again.body
    assert [row["attempt"] for row in deliveries(client)] == [2, 1]


def test_one_that_was_stopped_for_longer_than_its_lease_sends_nothing_more_of_it(
    client: AgentTasks, processes: Processes
) -> None:
    with receiving(a=["hang", 204]) as receiver:
        endpoint(client, f"{receiver.url}/a")
        stopped = processes.deliverer(**QUICK)
        task_id = told(client, 1)
        eventually(lambda: receiver.at("/a"))
        # the second one is parked: no look takes locks now, which would outlast the stop
        eventually(lambda: [row["due_at"] is None for row in deliveries(client)] == [False, True])
        stopped.send_all(signal.SIGSTOP)
        processes.deliverer(**QUICK)
        ended_well(client)
        stopped.send_all(signal.SIGCONT)
        told(client, 1)
        ended_well(client)
        first, again, second = sequence(receiver, task_id)
        assert first == again < second
    assert [row["attempt"] for row in deliveries(client, task_id)] == [2, 1]


def sequence(receiver: Receiver, task_id: Any) -> list[int]:
    came = [json.loads(each.body)["data"] for each in receiver.at("/a")]
    return [data["sequence"] for data in came if data["task_id"] == str(task_id)]
