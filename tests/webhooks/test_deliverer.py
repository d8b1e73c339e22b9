"""The deliverer: what is told, how it is signed, and in which order."""

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from agent_tasks import AgentTasks
from agent_tasks.task.callback_secret import callback_secrets
from tests.database import query, submitted
from tests.eventually import eventually
from tests.webhooks.delivering import (
    OLD_SECRET,
    SECRET,
    deliveries,
    delivering,
    emitted,
    ended_well,
    endpoint,
    statuses,
    told,
)
from tests.webhooks.received import data_of, ids, sequence
from tests.webhooks.receiver import Receiver

OTHER_SECRET = "whsec_" + "QUFB" * 8


def test_an_event_is_told_of_thinly_and_signed(client: AgentTasks, receiver: Receiver) -> None:
    endpoint(client, f"{receiver.url}/a")
    with delivering(client, public_url="https://tasks.example/prefix"):
        task_id = told(client)
        (received,) = eventually(lambda: receiver.at("/a"))
    said = Webhook(SECRET).verify(received.body, received.headers)
    event = query(client, "SELECT * FROM agent_tasks.events WHERE task_id = %s AND seq = 1", task_id)[0]
    assert datetime.fromisoformat(said.pop("timestamp")) == event["at"]
    assert said == {
        "type": "task.submitted",
        "data": {
            "task_id": str(task_id), "agent": "echo", "status": "pending", "version": 1, "sequence": 1,
            "link": f"https://tasks.example/prefix/tasks/{task_id}",
        },
    }  # fmt: skip
    assert received.headers["webhook-id"] == f"evt_{task_id.hex}_1"
    assert received.headers["content-type"] == "application/json"


def test_while_secrets_rotate_a_receiver_may_have_either(client: AgentTasks, receiver: Receiver) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    endpoint(client, f"{receiver.url}/both", old_secret=OLD_SECRET, old_until=until)
    endpoint(client, f"{receiver.url}/new", old_secret=OLD_SECRET, old_until=until - timedelta(hours=2))
    with delivering(client):
        told(client)
        ended_well(client)
    (both,), (new,) = receiver.at("/both"), receiver.at("/new")
    for secret in (SECRET, OLD_SECRET):
        Webhook(secret).verify(both.body, both.headers)
    Webhook(SECRET).verify(new.body, new.headers)
    for secret, received in ((OLD_SECRET, new), (OTHER_SECRET, both)):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(received.body, received.headers)


def test_a_callback_is_told_of_its_end_and_signed_by_each_key_of_the_deployment(
    client: AgentTasks, receiver: Receiver
) -> None:
    with delivering(client, secret_key="new,old") as deliverer:
        task_id = told(client, 2, callback=f"{receiver.url}/call?me=1")
        client.get(task_id).cancel()
        (received,) = eventually(lambda: receiver.at("/call?me=1"))
        keys = deliverer._attempts._deployment.callback_keys
    assert data_of(received)["type"] == "task.cancelled"
    assert len(keys) == 2
    for secret in callback_secrets(keys, ""):
        Webhook(secret).verify(received.body, received.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(callback_secrets(keys, "other")[0]).verify(received.body, received.headers)


def test_a_full_payload_has_the_snapshot_as_it_is_when_it_is_sent(client: AgentTasks, receiver: Receiver) -> None:
    endpoint(client, f"{receiver.url}/a", payload="full")
    task_id = told(client, 1)
    client.get(task_id).cancel()
    with delivering(client):
        ended_well(client)
    first, found, last = [data_of(each)["data"] for each in receiver.at("/a")]
    snapshot = client.get(task_id).snapshot().model_dump(mode="json")
    for each in (first, found, last):
        assert each["task"] == snapshot
        assert each["task"]["status"] == "cancelled"
    assert (first["status"], found["event"], last["status"]) == ("pending", 1, "cancelled")


def test_a_full_payload_that_is_too_large_is_a_thin_one_that_says_so(client: AgentTasks, receiver: Receiver) -> None:
    endpoint(client, f"{receiver.url}/a", payload="full")
    client.submit("echo", {"value": 1}, metadata={"large": "x" * 20_000})
    with delivering(client):
        ended_well(client)
    (received,) = receiver.at("/a")
    assert data_of(received)["data"]["truncated"] is True
    assert len(received.body) < 1000


def test_of_a_sensitive_task_nothing_but_that_it_is_so_is_told(client: AgentTasks, receiver: Receiver) -> None:
    endpoint(client, f"{receiver.url}/a", payload="full")
    task_id = submitted(client, metadata={"secret": "word"})
    query(client, "UPDATE agent_tasks.tasks SET sensitive = true WHERE id = %s", task_id)
    emitted(client, task_id, 1)
    with delivering(client):
        ended_well(client)
    for received in receiver.at("/a"):
        assert "task" not in data_of(received)["data"]
        assert b"word" not in received.body


def test_of_one_task_nothing_is_told_before_what_came_earlier_is_accepted(
    client: AgentTasks, receiver: Receiver
) -> None:
    receiver.says["/a"] = [500, 500, "close", 204]
    endpoint(client, f"{receiver.url}/a")
    with delivering(client):
        task_id = told(client, 5)
        ended_well(client)
    got = sequence(receiver.at("/a"))
    assert got == [got[0]] * 4 + sorted(set(got[3:]))[1:]
    assert len(set(got)) == 6
    assert len(set(ids(receiver.at("/a"))[:4])) == 1
    assert [row["attempt"] for row in deliveries(client, task_id)] == [4, 1, 1, 1, 1, 1]


def test_a_task_that_is_held_up_holds_up_no_other(client: AgentTasks, receiver: Receiver) -> None:
    receiver.says["/a"] = [503, 204]
    endpoint(client, f"{receiver.url}/a")
    held_up, other = told(client, 2), told(client, 2)
    with delivering(client, webhook_retry_scale=1.0):
        eventually(lambda: statuses(client, other) == {"delivered"} or statuses(client, held_up) == {"delivered"})
    waiting = [row for row in deliveries(client) if row["status"] == "pending"]
    assert len({row["task_id"] for row in waiting}) == 1
    assert [row["due_at"] is None for row in waiting] == [False, True, True]


def test_where_no_order_is_asked_for_the_later_ones_do_not_wait(client: AgentTasks, receiver: Receiver) -> None:
    receiver.says["/a"] = [500, 204]
    endpoint(client, f"{receiver.url}/a", ordered=False)
    task_id = told(client, 4)
    with delivering(client, webhook_retry_scale=1.0):
        eventually(lambda: sum(row["status"] == "delivered" for row in deliveries(client, task_id)) == 4)
    assert sum(row["status"] == "pending" for row in deliveries(client, task_id)) == 1
