"""The deliverer: each event once and in order, again where that goes wrong, and never to whom is gone."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from agent_tasks import AgentTasks, Identity
from agent_tasks.store.errors import ServerAway
from agent_tasks.store.queries import read
from agent_tasks.task.callback_secret import callback_secrets
from agent_tasks.transitions import spend
from agent_tasks.webhooks.lanes import MOST
from tests.database import claimed, parked, query, submitted
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
)  # fmt: skip
from tests.webhooks.receiver import Received, Receiver, receiving

OTHER_SECRET = "whsec_" + "QUFB" * 8


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def data_of(received: Received) -> dict[str, Any]:
    return json.loads(received.body)


def ids(received: list[Received]) -> list[str]:
    return [each.headers["webhook-id"] for each in received]


def sequence(received: list[Received]) -> list[int]:
    return [data_of(each)["data"]["sequence"] for each in received]


def lanes(client: AgentTasks) -> list[Any]:
    return query(client, "SELECT * FROM agent_tasks.lanes ORDER BY name")


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


@pytest.mark.parametrize(
    ("behaviour", "answer", "error"),
    [
        (500, 500, "it answered 500"),
        (404, 404, "it answered 404"),
        ("redirect", 302, "it answered 302"),
        ("close", None, "without sending a response"),
        ("nonsense", None, "the answer is no HTTP"),
        ("hang", None, "no whole answer within 0.5 seconds"),
        ("drip", None, "no whole answer within 0.5 seconds"),
    ],
)
def test_whatever_a_receiver_does_wrong_is_said_and_tried_again(
    client: AgentTasks, receiver: Receiver, behaviour: str | int, answer: int | None, error: str
) -> None:
    receiver.says["/a"] = [behaviour, 204]
    endpoint(client, f"{receiver.url}/a")
    task_id = told(client)
    with delivering(client, webhook_retry_scale=1.0, webhook_seconds=0.5):
        eventually(lambda: deliveries(client)[0]["error"])
    (row,) = deliveries(client, task_id)
    assert (row["status"], row["answer"], row["attempt"]) == ("pending", answer, 1)
    assert error in row["error"]
    assert timedelta(seconds=4.5) < row["due_at"] - row["last_at"] < timedelta(seconds=7)
    assert [each.path for each in receiver.received] == ["/a"]
    with delivering(client):
        query(client, "UPDATE agent_tasks.deliveries SET due_at = clock_timestamp()")
        ended_well(client)
    assert len(set(ids(receiver.at("/a")))) == 1


def test_of_ten_gigabytes_that_it_answers_with_only_the_head_matters(client: AgentTasks, receiver: Receiver) -> None:
    receiver.says["/a"] = ["endless"]
    endpoint(client, f"{receiver.url}/a")
    told(client)
    with delivering(client):
        ended_well(client)


@pytest.mark.parametrize(
    ("said", "low", "high"),
    [
        ("Retry-After: 100", 100, 112),
        ("Retry-After: 9999999999999", 86_400, 96_000),
        ("Retry-After: Fri, 31 Feb 2098 25:61:00 GMT", 4.9, 6.5),
        ("Retry-After: Fri, ", 4.9, 6.5),
        ("Retry-After: Sun, 06 Nov 1994 08:49:37 GMT", 4.9, 6.5),
        ("Retry-After: -5", 4.9, 6.5),
        ("Retry-After: NaN", 4.9, 6.5),
    ],
)
def test_a_receiver_says_when_to_come_again_unless_it_is_nonsense(
    client: AgentTasks, receiver: Receiver, said: str, low: float, high: float
) -> None:
    receiver.says["/a"] = [f"429 {said}"]
    endpoint(client, f"{receiver.url}/a")
    told(client)
    with delivering(client, webhook_retry_scale=1.0):
        eventually(lambda: deliveries(client)[0]["error"])
    (row,) = deliveries(client)
    assert low <= (row["due_at"] - row["last_at"]).total_seconds() <= high
    (lane,) = lanes(client)
    asked = lane["asked_until"]
    assert (asked is not None and asked > row["last_at"] + timedelta(seconds=90)) == (low >= 100)
    assert lane["retry_at"] is None


def test_after_ten_attempts_it_has_failed_and_the_next_event_is_told(client: AgentTasks, receiver: Receiver) -> None:
    receiver.says["/a"] = [500] * 10 + [204]
    endpoint(client, f"{receiver.url}/a")
    task_id = told(client, 1)
    with delivering(client, webhook_retry_scale=0.00001):
        eventually(lambda: statuses(client) == {"failed", "delivered"})
    first, second = deliveries(client, task_id)
    assert (first["status"], first["attempt"], first["answer"], first["due_at"]) == ("failed", 10, 500, None)
    assert (second["status"], second["attempt"]) == ("delivered", 1)
    assert lanes(client) == []


def test_an_endpoint_that_is_gone_is_disabled_and_told_nothing_more(client: AgentTasks, receiver: Receiver) -> None:
    receiver.says["/gone"] = [204, 410]
    gone = endpoint(client, f"{receiver.url}/gone", name="gone")
    endpoint(client, f"{receiver.url}/other", types=["webhook.disabled"])
    endpoint(client, f"{receiver.url}/elsewhere", tenant="elsewhere")
    with delivering(client):
        first = told(client, 3)
        eventually(lambda: statuses(client, first) == {"delivered", "failed", "dropped"})
        third = told(client, 1)
        (other,) = eventually(lambda: receiver.at("/other"))
    assert [each.path for each in receiver.received].count("/gone") == 2
    assert [row["status"] for row in deliveries(client, first)] == ["delivered", "failed", "dropped", "dropped"]
    assert deliveries(client, third) == []
    assert data_of(other) | {"timestamp": ""} == {
        "type": "webhook.disabled", "timestamp": "", "data": {"webhook": "gone", "why": "gone"},
    }  # fmt: skip
    assert receiver.at("/elsewhere") == []
    (row,) = query(client, "SELECT * FROM agent_tasks.webhooks WHERE id = %s", gone)
    assert (row["disabled_why"], row["disabled_at"] is None) == ("gone", False)
    (entry,) = client.audit(operation="disable_webhook")
    assert (entry.target, entry.door, entry.data) == ("gone", "deliverer", {"why": "gone"})


def test_a_callback_that_is_gone_is_told_nothing_more_of_its_task(client: AgentTasks, receiver: Receiver) -> None:
    receiver.says["/gone"] = [410]
    with delivering(client):
        task_id = told(client, callback=f"{receiver.url}/gone")
        with client.database.connection() as connection:
            parked(connection, claimed(client, task_id))
        eventually(lambda: statuses(client, task_id) == {"failed"})
        client.get(task_id).cancel()
        eventually(lambda: statuses(client, task_id) == {"failed", "dropped"})
        other = told(client, callback=f"{receiver.url}/other")
        client.get(other).cancel()
        eventually(lambda: receiver.at("/other"))
    assert len(receiver.at("/gone")) == 1


def test_five_days_of_nothing_but_failures_disable_an_endpoint(client: AgentTasks, receiver: Receiver) -> None:
    receiver.says["/a"] = receiver.says["/b"] = [500]
    old, new = endpoint(client, f"{receiver.url}/a", name="a"), endpoint(client, f"{receiver.url}/b")
    told(client)
    with delivering(client, webhook_retry_scale=1.0):
        eventually(lambda: len(lanes(client)) == 2)
    query(
        client,
        "UPDATE agent_tasks.lanes SET failures = 9, failing_since = failing_since - interval '5 days' WHERE name = %s",
        f"webhook:{old}",
    )
    query(client, "UPDATE agent_tasks.deliveries SET due_at = clock_timestamp()")
    with delivering(client, webhook_retry_scale=1.0):
        eventually(lambda: query(client, "SELECT FROM agent_tasks.webhooks WHERE disabled_why = 'failing'"))
        eventually(lambda: statuses(client) == {"pending", "dropped"})
        eventually(lambda: len(receiver.at("/b")) >= 2)
    assert [row["webhook_id"] for row in deliveries(client) if row["status"] == "dropped"] == [old]
    assert [row["id"] for row in query(client, "SELECT id FROM agent_tasks.webhooks WHERE disabled_at IS NULL")] == [
        new
    ]
    assert client.audit(operation="disable_webhook")[0].data == {"why": "failing"}


def test_one_success_and_what_failed_before_is_forgotten(client: AgentTasks, receiver: Receiver) -> None:
    receiver.says["/a"] = [500, 500, 204]
    endpoint(client, f"{receiver.url}/a")
    told(client)
    with delivering(client):
        eventually(lambda: lanes(client))
        ended_well(client)
    assert lanes(client) == []


def test_a_lane_that_has_not_failed_for_more_than_a_day_is_forgotten(client: AgentTasks) -> None:
    for name, age in (("old", "28 h"), ("new", "26 h")):
        sql = """
            INSERT INTO agent_tasks.lanes (name, failures, failing_since, last_at)
            VALUES (%s, 1, now() - interval '9 d', now() - %s::interval)
        """
        query(client, sql, name, age)
    with delivering(client):
        eventually(lambda: len(lanes(client)) == 1)
    assert lanes(client)[0]["name"] == "new"


def test_callbacks_that_only_fail_for_five_days_end_and_those_that_came_since_are_tried(
    client: AgentTasks, receiver: Receiver
) -> None:
    receiver.says["/a"] = [500]
    old, new = told(client, callback=f"{receiver.url}/a"), told(client, callback=f"{receiver.url}/a")
    for task_id in (old, new):
        client.get(task_id).cancel()
    (row, _) = deliveries(client)
    query(
        client,
        "INSERT INTO agent_tasks.lanes (name, failures, failing_since) VALUES (%s, 40, now() - interval '5 days')",
        row["lane"],
    )
    query(
        client,
        "UPDATE agent_tasks.deliveries SET created_at = now() - interval '6 days', due_at = now() + interval '1 h' "
        "WHERE task_id = %s",
        old,
    )
    with delivering(client):
        eventually(lambda: statuses(client, old) == {"failed"})
    assert statuses(client, new) <= {"pending", "failed"}
    assert receiver.received
    (ended,) = deliveries(client, old)
    assert (ended["attempt"], ended["error"]) == (0, "its receiver has failed for too long")


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


def test_a_deliverer_that_is_stopped_gives_back_what_it_sends(
    client: AgentTasks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_tasks.webhooks.deliverer._LEAVE_SECONDS", 0.1)
    receiver.says["/a"] = ["hang", 204]
    endpoint(client, f"{receiver.url}/a")
    told(client)
    with delivering(client, webhook_seconds=30.0):
        eventually(lambda: receiver.at("/a"))
    (row,) = deliveries(client)
    assert (row["status"], row["error"]) == ("pending", "the deliverer was stopped")
    assert (row["attempt"], row["given_back"]) == (1, 1)
    with delivering(client):
        ended_well(client)


def test_an_attempt_that_is_given_back_uses_up_none_of_the_ten(
    client: AgentTasks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = [ServerAway("it is going")]

    def find(connection: Any, task_id: Any) -> Any:
        if away:
            raise away.pop()
        return real(connection, task_id)

    real = read.find
    monkeypatch.setattr("agent_tasks.webhooks.attempt.read.find", find)
    receiver.says["/a"] = [500, 204]
    endpoint(client, f"{receiver.url}/a", payload="full")
    told(client)
    query(client, "UPDATE agent_tasks.deliveries SET attempt = 8")
    with delivering(client):
        eventually(lambda: [(row["attempt"], row["answer"]) for row in deliveries(client)] == [(10, 500)])
        query(client, "UPDATE agent_tasks.deliveries SET due_at = clock_timestamp() WHERE due_at IS NOT NULL")
        ended_well(client)
    (row,) = deliveries(client)
    assert (row["attempt"], row["given_back"]) == (11, 1)
    assert lanes(client) == []


def moved(client: AgentTasks, receiver: Receiver) -> None:
    query(client, "UPDATE agent_tasks.webhooks SET url = %s", f"{receiver.url}/new")


def disabled(client: AgentTasks, receiver: Receiver) -> None:
    query(client, "UPDATE agent_tasks.webhooks SET disabled_at = clock_timestamp(), disabled_why = 'asked'")


@pytest.mark.parametrize(("change", "status"), [(moved, "delivered"), (disabled, "dropped")])
def test_after_a_look_up_that_took_long_it_is_asked_again_whether_it_is_to_be_sent(
    client: AgentTasks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, change: Any, status: str
) -> None:
    monkeypatch.setattr("agent_tasks.webhooks.attempt._FRESH_SECONDS", 0.0)  # any takes longer

    async def resolve(host: str, port: int) -> list[str]:
        change(client, receiver)
        return ["127.0.0.1"]

    endpoint(client, f"http://slow.example:{receiver.port}/old")
    told(client)
    with delivering(client, resolve=resolve):
        eventually(lambda: statuses(client) == {status})
    assert [each.path for each in receiver.received] == ["/new"] * (status == "delivered")


def test_what_the_old_url_answered_with_410_is_sent_to_the_new_one_and_drops_nothing(
    client: AgentTasks, receiver: Receiver
) -> None:
    receiver.says["/old"] = ["hang", 410]
    receiver.says["/new"] = ["hang", 204]
    endpoint(client, f"{receiver.url}/old")
    told(client)
    with delivering(client):
        eventually(lambda: receiver.at("/old"))
        moved(client, receiver)
        told(client)
        eventually(lambda: receiver.at("/new"))
        receiver.let_go.set()
        ended_well(client)
    assert len(receiver.at("/old")) == 1
    assert query(client, "SELECT FROM agent_tasks.webhooks WHERE disabled_at IS NULL")


def test_what_is_about_to_be_sent_to_the_new_url_does_not_mind_the_old_ones_410(
    client: AgentTasks, receiver: Receiver
) -> None:
    resolving, answered = threading.Event(), threading.Event()

    async def resolve(host: str, port: int) -> list[str]:
        resolving.set()
        await asyncio.to_thread(answered.wait, 20)
        return ["127.0.0.1"]

    receiver.says["/old"] = ["hang", 410]
    endpoint(client, f"{receiver.url}/old")
    first = told(client)
    with delivering(client, resolve=resolve, webhook_seconds=30.0):
        eventually(lambda: receiver.at("/old"))
        query(client, "UPDATE agent_tasks.webhooks SET url = %s", f"http://new.example:{receiver.port}/new")
        told(client)
        eventually(resolving.is_set)
        receiver.let_go.set()
        eventually(lambda: deliveries(client, first)[0]["answer"] == 410)
        answered.set()
        ended_well(client)
    assert len(receiver.at("/new")) == 2


def test_a_pause_that_was_asked_for_outlives_what_others_in_flight_are_answered(
    client: AgentTasks, receiver: Receiver
) -> None:
    receiver.says["/a"] = ["503 Retry-After: 100", 500, 204]
    endpoint(client, f"{receiver.url}/a", ordered=False)
    for _ in range(4):
        told(client)
    with delivering(client, webhook_retry_scale=1.0):
        eventually(lambda: sum(row["attempt"] == 1 and row["answer"] is not None for row in deliveries(client)) == 4)
        told(client)
        told(client, callback=f"{receiver.url}/b")
        query(client, "UPDATE agent_tasks.deliveries SET due_at = clock_timestamp() WHERE due_at IS NOT NULL")
        other = endpoint(client, f"{receiver.url}/other")
        told(client)
        eventually(lambda: receiver.at("/other"))
    assert len(receiver.at("/a")) == 4
    assert other


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
