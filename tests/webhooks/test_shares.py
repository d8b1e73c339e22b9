"""The deliverer: what hangs or fails holds up no other, and many share the work."""

import logging
import threading
from datetime import timedelta
from typing import Any

import pytest

from agent_tasks import AgentTasks, Identity
from agent_tasks.transitions import spend
from agent_tasks.webhooks.lanes import MOST
from tests.database import claimed, query, submitted
from tests.eventually import eventually
from tests.webhooks.delivering import deliveries, delivering, ended_well, endpoint, statuses, told
from tests.webhooks.received import data_of, disabled, ids, lanes, sequence
from tests.webhooks.receiver import Receiver


def test_a_lane_that_fails_is_tried_with_one_delivery_at_a_time(client: AgentTasks, receiver: Receiver) -> None:
    receiver.says["/a"] = [500]
    webhook_id = endpoint(client, f"{receiver.url}/a", ordered=False)
    query(
        client,
        "INSERT INTO agent_tasks.lanes (name, failures, failing_since) VALUES (%s, 5, clock_timestamp())",
        f"webhook:{webhook_id}",
    )
    told(client, 30)
    with delivering(client, webhook_retry_scale=1.0), delivering(client, webhook_retry_scale=1.0):
        eventually(lambda: lanes(client)[0]["failures"] == 6)
        endpoint(client, f"{receiver.url}/b", name="b")
        told(client)
        eventually(lambda: receiver.at("/b"))
    assert len(receiver.at("/a")) == 1
    (lane,) = lanes(client)
    assert lane["retry_at"] - lane["failing_since"] > timedelta(seconds=5)


def test_endpoints_that_hang_hold_up_no_other(client: AgentTasks, receiver: Receiver) -> None:
    for number in range(20):
        receiver.says[f"/{number}"] = ["hang"]
        endpoint(client, f"{receiver.url}/{number}")
    endpoint(client, f"{receiver.url}/fast")
    tasks = [told(client, 2) for _ in range(20)]
    with delivering(client, webhook_seconds=30.0):
        eventually(lambda: len(receiver.at("/fast")) == 3 * len(tasks))
        eventually(lambda: sum(receiver.open_now.values()) >= 20)
        assert not [row for row in deliveries(client) if row["error"]]
        receiver.let_go.set()


def test_a_fast_receiver_gets_more_at_once_and_none_gets_too_many(client: AgentTasks, receiver: Receiver) -> None:
    receiver.says["/slow"] = ["hang"]
    endpoint(client, f"{receiver.url}/slow", ordered=False)
    endpoint(client, f"{receiver.url}/fast", ordered=False)
    told(client, 150)
    with delivering(client):
        eventually(lambda: len(receiver.at("/fast")) == 151)
        receiver.let_go.set()
    assert receiver.most_at_once["/slow"] == 4
    assert receiver.most_at_once["/fast"] <= MOST


def test_a_name_that_resolves_to_this_machine_is_refused_at_delivery(client: AgentTasks, receiver: Receiver) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    endpoint(client, f"http://inside.example:{receiver.port}/a")
    told(client)
    with delivering(client, webhook_allow=(), resolve=resolve):
        eventually(lambda: deliveries(client)[0]["error"])
    assert "inside.example is refused: its address is not on the public internet" in deliveries(client)[0]["error"]
    assert receiver.connections == 0


@pytest.mark.parametrize("how", ["disabled_at = clock_timestamp(), disabled_why = 'asked'", "deleted"])
def test_what_is_left_for_an_endpoint_that_was_disabled_or_removed_is_dropped(
    client: AgentTasks, receiver: Receiver, how: str
) -> None:
    webhook_id = endpoint(client, f"{receiver.url}/a")
    told(client, 3)
    if how == "deleted":
        query(client, "DELETE FROM agent_tasks.webhooks WHERE id = %s", webhook_id)
    else:
        query(client, f"UPDATE agent_tasks.webhooks SET {how} WHERE id = %s", webhook_id)
    with delivering(client):
        eventually(lambda: statuses(client) == {"dropped"})
    assert receiver.received == []


def test_several_deliverers_share_the_work_and_tell_each_event_once_and_in_order(
    client: AgentTasks, receiver: Receiver
) -> None:
    endpoint(client, f"{receiver.url}/a")
    with delivering(client), delivering(client), delivering(client):
        tasks = [told(client, 10) for _ in range(20)]
        ended_well(client)
    assert len(receiver.received) == len(set(ids(receiver.received))) == 11 * len(tasks)
    for task_id in tasks:
        got = [each for each in receiver.received if data_of(each)["data"]["task_id"] == str(task_id)]
        assert sequence(got) == sorted(sequence(got))


def test_a_subjects_endpoint_is_told_of_its_own_tasks_and_of_no_other_endpoints_end(
    client: AgentTasks, receiver: Receiver
) -> None:
    receiver.says["/bob"] = [410]
    endpoint(client, f"{receiver.url}/ana", tenant="acme", subject="ana")
    endpoint(client, f"{receiver.url}/bob", tenant="acme", subject="bob")
    endpoint(client, f"{receiver.url}/all", tenant="acme")
    with delivering(client):
        submitted(client, identity=Identity(subject="bob", tenant="acme"))
        eventually(lambda: len(receiver.at("/all")) == 2)
        submitted(client, identity=Identity(subject="ana", tenant="acme"))
        eventually(lambda: len(receiver.at("/all")) == 3)
        ended = eventually(lambda: receiver.at("/ana"))
    assert [data_of(each)["type"] for each in ended] == ["task.submitted"]


def test_a_delivery_that_cannot_be_made_is_none_of_its_lanes_failures_and_is_not_tried_for_ever(
    client: AgentTasks, receiver: Receiver
) -> None:
    endpoint(client, f"{receiver.url}/a", secret="whsec_")
    told(client)
    query(client, "UPDATE agent_tasks.deliveries SET attempt = 9")
    with delivering(client):
        eventually(lambda: statuses(client) == {"failed"})
    assert "it could not be made" in deliveries(client)[0]["error"]
    assert lanes(client) == []


def test_what_agents_and_tenants_name_forges_no_line_of_the_log(
    client: AgentTasks, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.says = {"/a": [500, 204], "/b": [410]}
    endpoint(client, f"{receiver.url}/b", "acme\n[forged]", types=["task.cancelled"])
    task = client.submit("echo", {"value": 1}, identity=Identity(subject="eve", tenant="acme\n[forged]"))
    query(client, "UPDATE agent_tasks.tasks SET callback_url = %s", f"{receiver.url}/b")
    task.cancel()
    endpoint(client, f"{receiver.url}/a", types=["found\n[forged]"])
    with client.database.connection() as connection:
        spend.emit(connection, claimed(client, told(client)), "found\n[forged]", "1")
    with caplog.at_level(logging.INFO, "agent_tasks.webhooks.attempt"), delivering(client):
        eventually(lambda: statuses(client) == {"delivered", "failed"})
    lines = [record.getMessage() for record in caplog.records if "forged" in record.getMessage()]
    assert sorted(line.partition(":")[0] for line in lines) == [*["delivery failed"] * 2, "endpoint disabled"]
    assert all(line.isprintable() for line in lines)


def test_a_tenant_whose_receivers_hang_leaves_room_for_the_others(
    client: AgentTasks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_tasks.webhooks.lanes.MOST_IN_FLIGHT", 8)
    receiver.says["/hang"] = ["hang"]
    for _ in range(4):
        endpoint(client, f"{receiver.url}/hang", tenant="many", ordered=False)
    endpoint(client, f"{receiver.url}/a", tenant="one")
    for _ in range(4):
        submitted(client, identity=Identity(subject="ana", tenant="many"))
    with delivering(client, webhook_seconds=30.0):
        eventually(lambda: len(receiver.at("/hang")) == 4)
        submitted(client, identity=Identity(subject="ana", tenant="one"))
        eventually(lambda: receiver.at("/a"))
        receiver.let_go.set()
    assert receiver.most_at_once["/hang"] == 4


def test_what_is_over_is_dropped_lane_by_lane_and_a_stop_waits_for_one_part_of_it(
    client: AgentTasks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once: list[str] = []
    most: list[int] = []
    let_go = threading.Event()

    def drop(connection: Any, lane: str, *, limit: int) -> int:  # there is always more
        at_once.append(lane)
        most.append(len(at_once))
        let_go.wait(20)
        at_once.remove(lane)
        return limit

    monkeypatch.setattr("agent_tasks.webhooks.deliverer.delivery.drop", drop)
    for _ in range(5):
        endpoint(client, f"{receiver.url}/gone")
    told(client)
    disabled(client, receiver)
    endpoint(client, f"{receiver.url}/a")
    with delivering(client):
        eventually(lambda: at_once)
        told(client)
        eventually(lambda: receiver.at("/a"))
        let_go.set()
    assert max(most) == 1
